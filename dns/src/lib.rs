//! Answers from the last known truth, even when the API is away.
//!
//! - `zone`: what the cluster's names mean (pure; changes go in, answers come out);
//! - `objects`: reads Kubernetes objects into changes of the zone;
//! - `directory`: the zone as the API has told it last.
//!
//! This crate never knows wasmtime, nor how a packet reaches a Pod. Start reading at [`Zone`].

mod directory;
mod objects;
mod zone;

pub use directory::Directory;
pub use zone::{
    Answer, Authority, Change, Data, Endpoint, Kind, Namespaced, Record, Service, ServicePort, Slice, Zone, ZoneConfig,
};
