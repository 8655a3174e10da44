//! The end-to-end tests: a real `carob`, real clients.
//!
//! This crate knows only what a user can know: the binary, what it prints, and the Kubernetes API that it serves. A test
//! begins with [`Cluster::shared`] (one cluster for all tests of a file, each in a namespace of its own) or with
//! [`Cluster::start`] (one that it may kill), and drives it through a [`Kubectl`].

mod cluster;
mod http;
mod joined;
mod kubectl;
mod load;
pub mod manifests;
mod tools;
mod wait;
mod watchdog;

pub use cluster::Cluster;
pub use http::Http;
pub use joined::{Node, Server};
pub use kubectl::{Kubectl, Lines, Outcome};
pub use load::{Load, Report};
pub use tools::{carob, python, samples};
pub use wait::{eventually, eventually_some};
