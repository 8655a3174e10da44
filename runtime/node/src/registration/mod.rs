//! Tells the cluster that this node is there, what it can hold, and that it is alive.
//!
//! A heartbeat is one small Lease every ten seconds. The Node itself, which is large, is written when something in it
//! changed, and every five minutes otherwise.

mod heartbeat;
mod object;

pub(crate) use heartbeat::{keep_lease, keep_node};
pub(crate) use object::{NodeFacts, allocatable};
