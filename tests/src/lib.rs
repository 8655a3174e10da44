//! The end-to-end tests: a real `carob`, real clients.
//!
//! This crate knows only what a user can know: the binary, what it prints, and the Kubernetes API that it serves. A test
//! begins with [`Cluster::shared`] (one cluster for all tests of a file, each in a namespace of its own) or with
//! [`Cluster::start`] (one that it may kill), and drives it through a [`Kubectl`]. What needs several nodes begins with a
//! [`Server`], whose nodes are processes on the loopback or on the machines of a [`Network`] that can be cut.

mod cluster;
mod fleet;
mod folder;
mod http;
mod joined;
mod kubectl;
mod load;
pub mod manifests;
mod network;
mod process;
mod room;
mod said;
mod tools;
mod wait;
mod watchdog;

pub use cluster::{Cluster, Disk};
pub use fleet::{Fleet, Member};
pub use http::Http;
pub use joined::{Node, Server};
pub use kubectl::{Kubectl, Lines, Outcome};
pub use load::{Load, Report};
pub use network::{Line, Machine, Network};
pub use said::Said;
pub use tools::{carob, dig, python, samples};
pub use wait::{eventually, eventually_some};
