//! The last step of every verb that changes something.

use bytes::Bytes;
use carob_store::{Change, Error, Expect, Write};
use serde_json::Value;

use super::Call;
use crate::{
    cache::{Selectable, served},
    codec,
    status::Status,
};

/// How often a change is tried again on the newest object when others got in between.
pub(super) const TRIES: usize = 5;

/// Commits and waits until this server's readers see it, so that a client always reads what it wrote.
///
/// `None`: some condition did not hold; the cache is then at least as new as what broke it.
pub(super) async fn commit(call: &Call, writes: Vec<Write>) -> Result<Option<u64>, Status> {
    match attempt(call, writes).await? {
        Ok(revision) => Ok(Some(revision)),
        Err(_) => Ok(None),
    }
}

/// As `commit`, and tells the key whose condition did not hold.
pub(super) async fn attempt(call: &Call, writes: Vec<Write>) -> Result<Result<u64, Bytes>, Status> {
    let api = &call.api;
    match api.store().write(writes).await {
        Ok(revision) => {
            api.applied().reach(revision.0).await;
            Ok(Ok(revision.0))
        }
        Err(Error::Conflict { key, .. }) => {
            api.applied().reach(api.store().revision().0).await;
            Ok(Err(key))
        }
        Err(error) => Err(error.into()),
    }
}

/// An object as it is about to be written.
pub(super) struct Prepared {
    pub(super) stored: Bytes,
    /// What the cache need not read from `stored`; `None` where it holds another form than the store does.
    selectable: Option<Selectable>,
}

impl Prepared {
    pub(super) fn new(call: &Call, object: &Value) -> Self {
        let resource = call.served.resource;
        if resource.strategy.stored_as_served() {
            let selectable = Some(Selectable::of(resource, object));
            return Self { stored: codec::encode(object), selectable };
        }
        let mut object = object.clone();
        resource.strategy.to_stored(&mut object);
        Self { stored: codec::encode(&object), selectable: None }
    }
}

/// Puts an object under its key in the cache, together with `more`. `None`: some condition did not hold.
pub(super) async fn put(
    call: &Call,
    key: &str,
    expect: Expect,
    new: Prepared,
    more: impl IntoIterator<Item = Write>,
) -> Result<Option<u64>, Status> {
    let Prepared { stored, selectable } = new;
    let _expected = selectable.map(|selectable| call.served.cache.expect(key, stored.clone(), selectable));
    let store_key = call.served.store_key_of(key).into();
    let mut writes = vec![Write { key: store_key, expect, change: Change::Put(stored) }];
    writes.extend(more);
    commit(call, writes).await
}

/// What is served of an object that was just written: the bytes that all its readers share, or, if it has changed again
/// since, the same made from what was stored.
pub(super) fn written(call: &Call, key: &str, revision: u64, stored: &[u8]) -> Result<Bytes, Status> {
    let cached = call.served.cache.get(key);
    if let Some(entry) = cached.filter(|entry| entry.revision == revision) {
        return Ok(entry.bytes.clone());
    }
    let (_, bytes) = served(call.served.resource, stored, revision).map_err(Status::internal)?;
    Ok(bytes.into())
}
