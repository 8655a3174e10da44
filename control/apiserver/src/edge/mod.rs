//! Where requests come in: sockets and TLS, who asks, and the way of a request to its verb.

mod certificate;
mod listen;
mod pipeline;

pub(crate) use listen::serve;
pub(crate) use pipeline::handle;
