//! Which volume is what a claim asks for.
//!
//! The scheduler, the controller that binds and the node that provides volumes must read claims and volumes alike: what they
//! share is here, as pure functions over Kubernetes' types. This crate never knows a client, a clock or a disk. Start
//! reading at [`mismatch`].

mod fit;
pub mod node_selector;
mod read;

/// The annotations by which scheduler, controllers and provisioners talk about claims and volumes
/// (<https://kubernetes.io/docs/reference/labels-annotations-taints/>).
pub mod annotations {
    /// On a claim: its binding is done, and what becomes of it is known.
    pub const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
    /// On a claim or a volume: the controller made the binding, so that it may undo it.
    pub const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
    /// On a volume: who made it, and will remove what is behind it.
    pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
    /// On a claim: the node that the scheduler chose for its first consumer.
    pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
    /// On a claim: who is asked to make a volume for it.
    pub const STORAGE_PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";
    /// The older form of the same, which some provisioners still look for.
    pub const BETA_STORAGE_PROVISIONER: &str = "volume.beta.kubernetes.io/storage-provisioner";
    /// The class of a claim or a volume before there was a field for it; it still wins.
    pub const CLASS: &str = "volume.beta.kubernetes.io/storage-class";
}

/// The provisioner that a node of Carob is: folders under its data directory.
pub const LOCAL_PATH: &str = "carob.dev/local-path";

pub use fit::{best, is_candidate, mismatch};
pub use read::{
    annotation, claim_class, is_bound_to, is_fully_bound, is_ours_to_bind, requested, selected_node, volume_class,
    waits_for_consumer,
};
