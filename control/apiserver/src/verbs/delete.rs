//! Deletes one object, or begins to.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use carob_store::{Change, Expect, Revision, Write};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Call,
    deletion::{Plan, plan},
    options::DeleteOptions,
    respond,
    write::{self, Prepared},
};
use crate::{admit, allocate, cache::Entry, codec, status::Status};

/// Kinds whose deletion answers with the object instead of a Status.
const ANSWERED_BY_OBJECT: &[&str] = &["Pod", "Service", "ServiceAccount", "PodTemplate"];
/// Namespaces that a cluster needs.
const KEPT: &[&str] = &["default", "kube-system", "kube-public"];

/// What a deletion did.
pub(super) enum Outcome {
    /// The object is gone; this is what it was.
    Gone(Bytes),
    /// The object is still there and looks like this.
    Pending(Bytes),
}

pub(super) async fn delete(call: &Call, body: Body) -> Result<Response, Status> {
    let options = DeleteOptions::read(call, body).await?;
    let resource = call.served.resource;
    match remove(call, &options).await? {
        Outcome::Pending(bytes) => respond::object(call, StatusCode::OK, bytes),
        Outcome::Gone(bytes) if ANSWERED_BY_OBJECT.contains(&resource.kind) => {
            respond::object(call, StatusCode::OK, bytes)
        }
        Outcome::Gone(bytes) => {
            let object: Value = serde_json::from_slice(&bytes).map_err(Status::internal)?;
            let mut details = json!({ "name": call.address.name, "kind": resource.plural });
            details["uid"] = object["metadata"]["uid"].clone();
            if !resource.group.is_empty() {
                details["group"] = json!(resource.group);
            }
            Ok(respond::success(StatusCode::OK, &details))
        }
    }
}

/// Deletes the object that the call names, with a few tries if others change it meanwhile.
pub(super) async fn remove(call: &Call, options: &DeleteOptions) -> Result<Outcome, Status> {
    let resource = call.served.resource;
    if resource.kind == "Namespace" && KEPT.contains(&call.address.name.as_str()) {
        return Err(Status::forbidden(resource, &call.address.name, "this namespace may not be deleted"));
    }
    for _ in 0..write::TRIES {
        let entry = call.existing()?;
        let old = entry.object();
        check(call, options, &old)?;
        admit::delete(call, &old)?;
        let done = match plan(resource, &old, options, Timestamp::now()) {
            Plan::Nothing => Some(Outcome::Pending(entry.bytes.clone())),
            Plan::Remove => go(call, &entry, &old, options.dry_run).await?,
            Plan::Mark(new) => stay(call, &entry, &new, options.dry_run).await?,
        };
        if let Some(outcome) = done {
            return Ok(outcome);
        }
    }
    Err(Status::modified(resource, &call.address.name))
}

pub(super) fn check(call: &Call, options: &DeleteOptions, old: &Value) -> Result<(), Status> {
    let differs = |what: &str, asked: &Option<String>, field: &str| {
        let found = old["metadata"][field].as_str().unwrap_or_default();
        let asked = asked.as_deref().filter(|asked| *asked != found)?;
        let told = format!("Precondition failed: {what} in precondition: {asked}, {what} in object meta: {found}");
        Some(Status::conflict(call.served.resource, &call.address.name, told))
    };
    differs("UID", &options.uid, "uid")
        .or_else(|| differs("ResourceVersion", &options.resource_version, "resourceVersion"))
        .map_or(Ok(()), Err)
}

/// Removes the object as it was read. `None`: it was changed meanwhile.
async fn go(call: &Call, entry: &Entry, old: &Value, dry_run: bool) -> Result<Option<Outcome>, Status> {
    if !dry_run && !removed(call, entry, old).await? {
        return Ok(None);
    }
    Ok(Some(Outcome::Gone(entry.bytes.clone())))
}

/// Removes the object and what was allocated for it. `false`: it was changed meanwhile.
pub(super) async fn removed(call: &Call, entry: &Entry, old: &Value) -> Result<bool, Status> {
    let key = call.served.store_key(entry.namespace(), entry.name());
    let expect = Expect::At(Revision(entry.revision));
    let mut writes = vec![Write { key: key.into(), expect, change: Change::Delete }];
    writes.extend(allocate::release(call.served.resource, old));
    Ok(write::commit(call, writes).await?.is_some())
}

async fn stay(call: &Call, entry: &Entry, new: &Value, dry_run: bool) -> Result<Option<Outcome>, Status> {
    let expect = Expect::At(Revision(entry.revision));
    let revision = match dry_run {
        true => Some(entry.revision),
        false => write::put(call, &entry.key, expect, Prepared::new(call, new), None).await?,
    };
    Ok(revision.map(|revision| Outcome::Pending(codec::splice(&codec::encode(new), revision).into())))
}
