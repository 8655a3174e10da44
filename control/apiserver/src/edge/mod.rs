//! Where requests come in: sockets and TLS, who asks, and the way of a request to its verb.

mod certificate;
mod in_flight;
mod listen;
mod pipeline;

pub(crate) use in_flight::InFlight;
pub(crate) use listen::serve;
pub(crate) use pipeline::{Origin, handle};
