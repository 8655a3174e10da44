//! Where Ingresses are served, in their status.

mod controller;
mod plan;

pub(crate) use controller::start;
