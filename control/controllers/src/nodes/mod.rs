//! Nodes that fall silent, and Pods that are left behind.
//!
//! `cidr.rs` gives a node its range of addresses.
//! `lifecycle.rs` says in a Node's status and taints that nothing has been heard of it, and that its Pods are not ready.
//! `taint_eviction.rs` deletes Pods that do not tolerate such a taint, or not for longer.
//! `leftovers.rs` removes Pods whose node is gone for good, and those that were deleted before they had a node.

mod cidr;
mod leftovers;
mod lifecycle;
mod plan;
mod taint_eviction;

pub use cidr::{PodNetwork, PodNetworkError};
pub(crate) use plan::SILENCE;

use crate::Config;
use crate::context::Context;

/// Starts the controllers.
pub(crate) fn start(context: &mut Context<'_>, config: &Config) {
    cidr::start(context, config.pod_network);
    lifecycle::start(context, config.node_monitor_grace_period);
    taint_eviction::start(context);
    leftovers::start(context);
}
