//! Garbage collection: what is owned does not outlive its owners, unless it is told to.
//!
//! `graph.rs` remembers who owns whom, over all kinds; `plan.rs` decides about one object; `monitors.rs` keeps the
//! graph true; `controller.rs` verifies and executes. An owner that the graph does not know is looked for in the API
//! itself before anything is deleted for its absence.

mod controller;
mod graph;
mod monitors;
mod plan;

pub(crate) use controller::start;
