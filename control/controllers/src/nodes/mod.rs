//! Nodes that fall silent, and Pods that are left behind.
//!
//! `lifecycle.rs` says in a Node's status and taints that nothing has been heard of it; it never evicts by itself.
//! `leftovers.rs` removes Pods whose node is gone for good, and those that were deleted before they had a node.

mod leftovers;
mod lifecycle;
mod plan;

use crate::context::Context;

/// Starts the two controllers.
pub(crate) fn start(context: &mut Context<'_>) {
    lifecycle::start(context);
    leftovers::start(context);
}
