//! Requests for certificates: which are approved without anybody's help, which are signed, and when they are forgotten.
//!
//! `judge.rs` knows what Kubernetes' signers demand; `step.rs` what comes next for a request; both are pure.

mod controller;
mod judge;
mod step;

pub(crate) use controller::start;
