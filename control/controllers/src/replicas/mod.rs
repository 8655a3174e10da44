//! ReplicaSets and ReplicationControllers: so many Pods of one template, no more and no less.
//!
//! `plan.rs` is pure; `controller.rs` observes and executes; `owner.rs` is all that differs between the two kinds.

mod controller;
mod owner;
mod plan;
mod ranking;
mod status;

pub(crate) use controller::start;
