//! Resources of an exporter, as its importers hold them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::format_err;

use super::exporter::Exporter;
use crate::bounds::RESOURCES;

/// A resource that lives in an exporter's store. Dropping it drops the resource there, unless it was given back.
pub(super) struct Remote {
    pub(super) exporter: Arc<Exporter>,
    pub(super) id: u32,
    /// The exporter's number of its type.
    pub(super) kind: usize,
    given_back: AtomicBool,
}

impl Remote {
    pub(super) fn new(exporter: Arc<Exporter>, id: u32, kind: usize) -> Remote {
        Remote { exporter, id, kind, given_back: AtomicBool::new(false) }
    }

    /// It is the exporter's again, which will look after it.
    pub(super) fn give_back(&self) {
        self.given_back.store(true, Ordering::Relaxed);
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if !self.given_back.load(Ordering::Relaxed) {
            self.exporter.release(self.id);
        }
    }
}

/// What one store holds of its siblings' resources, by the number that its guest's handles stand for.
#[derive(Default)]
pub(crate) struct Proxies {
    held: HashMap<u32, Arc<Remote>>,
    last: u32,
}

impl Proxies {
    pub(super) fn insert(&mut self, remote: Arc<Remote>) -> wasmtime::Result<u32> {
        if self.held.len() >= RESOURCES {
            return Err(format_err!("too many resources of sibling containers are held: at most {RESOURCES}"));
        }
        loop {
            self.last = self.last.wrapping_add(1);
            if !self.held.contains_key(&self.last) {
                self.held.insert(self.last, remote);
                return Ok(self.last);
            }
        }
    }

    pub(super) fn get(&self, proxy: u32) -> wasmtime::Result<Arc<Remote>> {
        self.held.get(&proxy).cloned().ok_or_else(unknown)
    }

    pub(super) fn remove(&mut self, proxy: u32) -> wasmtime::Result<Arc<Remote>> {
        self.held.remove(&proxy).ok_or_else(unknown)
    }
}

fn unknown() -> wasmtime::Error {
    format_err!("unknown handle to a resource of a sibling container")
}
