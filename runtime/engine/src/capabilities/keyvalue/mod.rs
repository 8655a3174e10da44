//! `wasi:keyvalue`, in both drafts that toolchains build against.
//!
//! The buckets themselves are the embedder's, behind the [`Bucket`] trait.

mod draft;
mod draft2;

use std::collections::VecDeque;
use std::sync::Arc;

use futures::future::BoxFuture;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable, ResourceTableError};

use super::Capabilities;
use crate::host::Host;

/// Keys and values that several containers share. What is acknowledged is durable, and is seen by every read after it.
pub trait Bucket: Send + Sync + 'static {
    /// The values of `keys`, in their order.
    fn get(&self, keys: Vec<String>) -> BoxFuture<'_, Result<Vec<Option<Vec<u8>>>, BucketError>>;

    /// Sets all of these, or none.
    fn set(&self, entries: Vec<(String, Vec<u8>)>) -> BoxFuture<'_, Result<(), BucketError>>;

    /// Removes all of these that exist, or none.
    fn delete(&self, keys: Vec<String>) -> BoxFuture<'_, Result<(), BucketError>>;

    /// Some of the keys after `after`, in order.
    fn list(&self, after: Option<String>) -> BoxFuture<'_, Result<Keys, BucketError>>;

    /// Adds to a number, written in decimal digits; what does not exist is 0. Refused if the sum is not within `min..=max`.
    fn increment(&self, key: String, delta: i128, min: i128, max: i128) -> BoxFuture<'_, Result<i128, BucketError>>;

    /// Sets the value if it is still `expected`.
    fn swap(
        &self,
        key: String,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> BoxFuture<'_, Result<Swapped, BucketError>>;
}

/// A page of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// In order.
    pub keys: Vec<String>,
    /// Whether there are more after the last of these.
    pub more: bool,
}

/// What became of a compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swapped {
    /// The value was as expected, and is now the new one.
    Done,
    /// Somebody was faster; this is the value now.
    Changed(Option<Vec<u8>>),
}

/// Why a bucket did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct BucketError(
    /// In words that the guest gets.
    pub String,
);

/// A bucket that a container may open.
#[derive(Clone)]
pub struct BucketGrant {
    /// The bucket.
    pub bucket: Arc<dyn Bucket>,
    /// Whether it may be changed too.
    pub writable: bool,
}

pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    draft::add_to_linker(linker)?;
    draft2::add_to_linker(linker)
}

struct HasKeyValue;

impl HasData for HasKeyValue {
    type Data<'a> = View<'a>;
}

/// What both versions work on.
struct View<'a> {
    capabilities: &'a Capabilities,
    table: &'a mut ResourceTable,
}

fn view(host: &mut Host) -> View<'_> {
    let (capabilities, table) = host.capabilities_and_table();
    View { capabilities, table }
}

impl View<'_> {
    fn open(&mut self, name: &str) -> Result<Resource<Opened>, Error> {
        let grant = self.capabilities.buckets.get(name).ok_or(Error::NoSuchStore)?;
        Ok(self.table.push(Opened { grant: grant.clone(), cursors: Cursors::default() })?)
    }

    fn bucket(&self, bucket: &Resource<Opened>) -> Result<Arc<dyn Bucket>, Error> {
        Ok(self.table.get(bucket)?.grant.bucket.clone())
    }

    fn writable(&self, bucket: &Resource<Opened>) -> Result<Arc<dyn Bucket>, Error> {
        let grant = &self.table.get(bucket)?.grant;
        if grant.writable { Ok(grant.bucket.clone()) } else { Err(Error::AccessDenied) }
    }

    async fn get(&mut self, bucket: &Resource<Opened>, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        Ok(self.bucket(bucket)?.get(keys).await?)
    }

    async fn get_one(&mut self, bucket: &Resource<Opened>, key: String) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.get(bucket, vec![key]).await?.pop().flatten())
    }

    async fn set(&mut self, bucket: &Resource<Opened>, entries: Vec<(String, Vec<u8>)>) -> Result<(), Error> {
        Ok(self.writable(bucket)?.set(entries).await?)
    }

    async fn delete(&mut self, bucket: &Resource<Opened>, keys: Vec<String>) -> Result<(), Error> {
        Ok(self.writable(bucket)?.delete(keys).await?)
    }
}

/// A bucket that a guest has opened: the resource of both versions.
#[allow(unreachable_pub, reason = "the bindings re-export it")]
pub struct Opened {
    grant: BucketGrant,
    cursors: Cursors,
}

/// The first draft's cursor is a number, but a place among keys is a key: those that were given out lately.
#[derive(Default)]
struct Cursors {
    places: VecDeque<String>,
    /// The number of the first of these.
    first: u64,
}

impl Cursors {
    const MOST: usize = 64;

    fn keep(&mut self, place: String) -> u64 {
        if self.places.len() == Self::MOST {
            self.places.pop_front();
            self.first += 1;
        }
        self.places.push_back(place);
        self.first + self.places.len() as u64 - 1
    }

    fn find(&self, cursor: u64) -> Result<String, Error> {
        let index = cursor.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        let place = index.and_then(|index| self.places.get(index));
        place.cloned().ok_or_else(|| {
            Error::Other(format!("cursor {cursor} was not given out by this bucket, or {} pages ago", Self::MOST))
        })
    }
}

/// The `error` of both versions.
#[derive(Debug)]
pub(crate) enum Error {
    NoSuchStore,
    AccessDenied,
    Other(String),
    /// The guest misused a handle, or has too many.
    Trap(wasmtime::Error),
}

impl From<BucketError> for Error {
    fn from(error: BucketError) -> Error {
        Error::Other(error.0)
    }
}

impl From<ResourceTableError> for Error {
    fn from(error: ResourceTableError) -> Error {
        Error::Trap(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_lead_back_to_their_places_until_they_are_too_old() {
        let mut cursors = Cursors::default();
        let given: Vec<u64> = (0..100).map(|n| cursors.keep(format!("key-{n}"))).collect();
        assert_eq!(cursors.find(given[99]).unwrap(), "key-99");
        assert_eq!(cursors.find(given[36]).unwrap(), "key-36");
        for unknown in [given[35], 0, 100, u64::MAX] {
            assert!(matches!(cursors.find(unknown), Err(Error::Other(_))), "{unknown}");
        }
    }
}
