//! Says which nodes balance the load of Services of type LoadBalancer.

mod controller;
mod plan;

pub(crate) use controller::start;
