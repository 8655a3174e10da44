//! What a container may use beside sockets and files.
//!
//! The interfaces are in the one linker that all programs share; what a container was granted stands with its store. A
//! container whose program imports an interface that nothing grants is not started.

mod config;
mod keyvalue;
mod logging;

use std::collections::BTreeMap;

use wasmtime::component::Linker;

use crate::host::Host;
pub use keyvalue::{Bucket, BucketError, BucketGrant, Keys, Swapped};

/// What one container is granted.
#[derive(Clone, Default)]
pub struct Capabilities {
    /// What `wasi:config` answers, each key once. Always granted: at worst it is empty.
    pub config: BTreeMap<String, String>,
    /// The buckets that `wasi:keyvalue` opens, by the name that the guest gives. Without any, the interface is not granted.
    pub buckets: BTreeMap<String, BucketGrant>,
}

/// A capability that has to be granted before a container starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// `wasi:keyvalue`, by at least one bucket.
    KeyValue,
}

impl Capabilities {
    /// The first import that needs a grant which is not here.
    pub(crate) fn lacking<'a>(&self, imports: &'a [String]) -> Option<(&'a str, Capability)> {
        let needed = |import: &&String| import.starts_with("wasi:keyvalue/");
        let import = imports.iter().find(needed).filter(|_| self.buckets.is_empty())?;
        Some((import, Capability::KeyValue))
    }
}

pub(crate) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    config::add_to_linker(linker)?;
    logging::add_to_linker(linker)?;
    keyvalue::add_to_linker(linker)
}
