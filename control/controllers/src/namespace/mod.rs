//! Namespaces that are being deleted: everything in them goes first, then they.

mod controller;
mod plan;
mod progress;

pub(crate) use controller::start;
