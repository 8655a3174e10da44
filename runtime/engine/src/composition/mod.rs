//! Calls between the components of a Pod, without a socket.
//!
//! A program may import and export interfaces of its own, beside WASI's ([`Interfaces`]). The importing side gets a
//! forwarding function for each function of such an import (`forward.rs`): it takes the arguments out of its own store,
//! and sends them to the exporting container, whose one instance answers them in a store, on a task, with limits and
//! meters of its own (`library.rs`). Whoever runs pays for it.
//!
//! The two sides meet at a [`Peer`], which outlives every run of the exporter: while there is none, a call waits for a
//! moment. A trap of the exporter ends that container, and fails the calls that were in it: there the caller traps too.
//!
//! Resources stay in the exporter's store; the importer holds a proxy (`resources.rs`). Arguments and results are dynamic
//! values, and checked against each other once, when the two are linked (`matching.rs`).

mod abandoned;
mod exporter;
mod forward;
mod instance;
mod interfaces;
mod library;
mod link;
mod matching;
mod message;
mod peer;
mod resources;

pub(crate) use exporter::Offer;
pub(crate) use forward::add_to_linker;
pub use interfaces::Interfaces;
pub(crate) use interfaces::Own;
pub(crate) use library::Library;
pub(crate) use link::{Bound, bind};
pub use link::{Composition, Link, LinkError};
pub use peer::Peer;
pub(crate) use resources::Proxies;
