//! Answers from the last known truth, even when the API is away.
//!
//! - `zone`: what the cluster's names mean (pure; changes go in, answers come out);
//! - `objects`: reads Kubernetes objects into changes of the zone;
//! - `directory`: the zone as the API has told it last;
//! - `forward`: names of others, asked of servers outside and remembered;
//! - `resolver`: names for Pods of this process;
//! - `wire`: between packets and questions; `server`: the sockets, and from a packet to its answer.
//!
//! This crate never knows wasmtime, nor how a packet reaches a Pod. Start reading at [`Zone`], then at [`Dns`].

mod directory;
mod dns;
mod forward;
mod metrics;
mod objects;
mod resolver;
#[cfg(test)]
mod scene;
mod server;
mod wire;
mod zone;

pub use dns::Dns;
pub use forward::{ResolvConf, Stub, Upstreams};
pub use server::Listener;
pub use zone::{
    Answer, Authority, Change, Data, Endpoint, Kind, Namespaced, Record, Service, ServicePort, Slice, Zone, ZoneConfig,
};
