//! The last step of every verb that changes something.

use bytes::Bytes;
use carob_store::{Change, Error, Expect, Revision, Write};
use serde_json::Value;

use super::Call;
use crate::{
    cache::{Entry, served},
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

/// Replaces the object that was read as `entry` by `new`, together with `more`. `None`: it was changed meanwhile.
pub(super) async fn put(call: &Call, entry: &Entry, new: &Value, more: Vec<Write>) -> Result<Option<u64>, Status> {
    let key = call.served.store_key(entry.namespace(), entry.name());
    let change = Change::Put(stored(call, new.clone()));
    let mut writes = vec![Write { key: key.into(), expect: Expect::At(Revision(entry.revision)), change }];
    writes.extend(more);
    commit(call, writes).await
}

/// The bytes that the store keeps for an object of the call's resource.
pub(super) fn stored(call: &Call, mut object: Value) -> Bytes {
    call.served.resource.strategy.to_stored(&mut object);
    codec::encode(&object)
}

/// What is served of an object that was just written: the bytes that all its readers share, or, if it has changed again
/// since, the same made from what was stored.
pub(super) fn written(call: &Call, name: &str, revision: u64, stored: &[u8]) -> Result<Bytes, Status> {
    let cached = call.served.cache.get(&call.served.key(&call.address.namespace, name));
    if let Some(entry) = cached.filter(|entry| entry.revision == revision) {
        return Ok(entry.bytes.clone());
    }
    let (_, bytes) = served(call.served.resource, stored, revision).map_err(Status::internal)?;
    Ok(bytes.into())
}
