//! Deployments: from one ReplicaSet to the next without losing more Pods, or having more, than the strategy allows.
//!
//! `plan.rs` is the pure whole; `rolling.rs` and `scaling.rs` are the arithmetic; `revision.rs` keeps the history;
//! `status.rs` says how it goes; `controller.rs` observes and executes. Each run does one step: its own writes wake
//! the next.

mod controller;
mod hash;
mod limits;
mod plan;
mod revision;
mod rolling;
mod scaling;
mod sets;
mod status;

pub(crate) use controller::start;
