//! EndpointSlices and Endpoints: where the Pods of a Service answer.
//!
//! `backends.rs` says what the Service's Pods offer; `slices.rs` and `legacy.rs` plan the two kinds of objects from
//! that; `controller.rs` executes.

mod backends;
mod controller;
mod legacy;
mod slices;

pub(crate) use controller::start;
