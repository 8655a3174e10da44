//! Volumes that are folders of this node: the provisioner `carob.dev/local-path`.
//!
//! A claim of a class of this provisioner gets a folder under the node's data directory, and a PersistentVolume that says
//! where it is and that it can be reached from this node only. When the claim is gone and the volume is to go with it, the
//! folder is removed; a finalizer keeps the volume until it is. `plan.rs` decides, `folders.rs` touches the disk.

mod folders;
mod plan;
mod provisioner;

pub(crate) use provisioner::run;
