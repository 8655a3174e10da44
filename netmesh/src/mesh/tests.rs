//! Pods that talk to each other, as their containers see it.

mod network_policy;
mod policy;
pub(crate) mod scene;
mod services;
mod tcp;
mod udp;
