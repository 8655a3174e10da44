//! EndpointSlices and Endpoints: where the Pods of a Service answer.
//!
//! `backends.rs` says what the Service's Pods offer; `slices.rs` and `legacy.rs` plan the two kinds of objects from
//! that, and `mirror.rs` slices from Endpoints that somebody writes by hand; `controller.rs` and `mirroring.rs` execute.

mod backends;
mod controller;
mod legacy;
mod mirror;
mod mirroring;
mod slices;

pub(crate) use controller::start;
