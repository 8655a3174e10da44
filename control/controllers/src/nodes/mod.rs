//! Nodes that fall silent, and Pods that are left behind.
//!
//! `cidr.rs` gives a node its range of addresses.
//! `lifecycle.rs` says in a Node's status and taints that nothing has been heard of it, and that its Pods are not ready.
//! `evictions.rs` says when the Pods of a lost node may be evicted, and keeps a cut from evicting all.
//! `taint_eviction.rs` deletes Pods that do not tolerate such a taint, or not for longer.
//! `leftovers.rs` removes Pods whose node is gone for good, and those that were deleted before they had a node.

mod cidr;
mod evictions;
mod leftovers;
mod lifecycle;
mod plan;
mod taint_eviction;

pub use cidr::{PodNetwork, PodNetworkError};
pub use evictions::EvictionRates;
pub(crate) use plan::SILENCE;

use crate::Config;
use crate::context::Context;

/// Starts the controllers.
pub(crate) fn start(context: &mut Context<'_>, config: &Config) {
    cidr::start(context, config.pod_network);
    lifecycle::start(context, config.node_monitor_grace_period, config.eviction_rates);
    taint_eviction::start(context);
    leftovers::start(context);
}
