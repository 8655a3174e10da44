//! `wasi:sockets` 0.2 and 0.3, over the container's own network.
//!
//! What a socket does is written once: `tcp.rs`, `accept.rs` and `halves.rs`, `udp.rs`, `lookup.rs`. How each version of
//! WASI spells it is in `p2/` and `p3/`. Whatever leaves here goes through [`Network`], where it is decided upon: there is
//! no other way from a guest to a socket.
#![allow(unreachable_pub, reason = "bindgen! exports the types that it is given")]

mod accept;
mod address;
mod convert;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod halves;
mod lookup;
mod options;
pub(crate) mod p2;
pub(crate) mod p3;
mod tcp;
mod udp;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};

use carob_net::Network;
use wasmtime::component::{HasData, ResourceTable};

/// What all sockets of one store have in common.
#[derive(Clone)]
pub(crate) struct Sockets {
    pub(crate) network: Arc<dyn Network>,
    fate: Fate,
}

impl Sockets {
    pub(crate) fn new(network: Arc<dyn Network>) -> Sockets {
        Sockets { network, fate: Fate::default() }
    }

    /// To be held while the guest runs.
    pub(crate) fn running(&self) -> Running {
        Running(Some(self.fate.clone()))
    }
}

/// Whether the guest was cut short. What it was sending is then not complete, and its connections are reset, so that no
/// other end takes it for that.
#[derive(Clone, Default)]
struct Fate(Arc<AtomicBool>);

impl Fate {
    fn is_sealed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A guest that runs. Dropping this, by a trap or by force, cuts it short.
pub(crate) struct Running(Option<Fate>);

impl Running {
    /// The guest came to its end by itself.
    pub(crate) fn finished(mut self) {
        self.0 = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(Fate(cut_short)) = &self.0 {
            cut_short.store(true, Ordering::Relaxed);
        }
    }
}

/// What the host functions of `wasi:sockets` work on.
pub(crate) struct SocketsView<'a> {
    pub(crate) sockets: &'a Sockets,
    pub(crate) table: &'a mut ResourceTable,
}

impl HasData for Sockets {
    type Data<'a> = SocketsView<'a>;
}

/// For looking whether something is ready, by a guest that asks again after waiting for a pollable.
fn glance() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// The type of every handle that guests get of these interfaces.
#[cfg(test)]
pub(crate) fn resource_types() -> Vec<wasmtime::component::ResourceType> {
    [p2::resource_types(), p3::resource_types()].concat()
}
