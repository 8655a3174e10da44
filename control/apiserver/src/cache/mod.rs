//! What the store holds now, encoded once for all readers, and what changed of late.
//!
//! One task ([`follow`]) follows the store's log and applies every change to the cache of its resource. Readers take
//! snapshots; watchers hold a [`Cursor`] into the ring of changes and pull from it, so that a slow one costs no memory: it
//! loses its place and must list again.

mod change;
mod cursor;
mod entry;
mod expected;
mod follow;
mod objects;
mod selection;

pub(crate) use change::{Change, Kind, change_of, decode, seen};
pub(crate) use cursor::{Cursor, TooSlow};
pub(crate) use entry::{Entry, Selectable, served};
pub(crate) use expected::Expectation;
pub(crate) use follow::{Applied, follow, load};
pub(crate) use objects::{Cache, Snapshot};
pub(crate) use selection::Selection;
