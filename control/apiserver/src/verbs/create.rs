//! Creates an object.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use carob_resources::Scope;
use carob_store::{Change, Expect, Revision, Write};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Call,
    body::{self, Decoded},
    initial, respond,
    write::{self, Prepared},
};
use crate::{admit, allocate, codec, status::Status};

pub(super) async fn create(call: &Call, body: Body) -> Result<Response, Status> {
    if call.served.resource.scope == Scope::Namespaced && call.address.namespace.is_empty() {
        return Err(Status::method_not_allowed());
    }
    let Decoded { object, mut warnings } = body::decode(call, body).await?;
    warnings.extend(call.served.resource.strategy.warnings(&object));
    let bytes = insert(call, object).await?;
    Ok(respond::warn(respond::object(call, StatusCode::CREATED, bytes)?, &warnings))
}

/// Stores a new object and returns it as it is served.
pub(super) async fn insert(call: &Call, object: Value) -> Result<Bytes, Status> {
    let dry_run = call.query.dry_run()?;
    let mut object = initial::prepare(call, object, Timestamp::now())?;
    admit::create(call, &mut object).await?;
    let generated = object["metadata"]["name"].as_str().unwrap_or_default().is_empty();
    // Only what the server chooses is chosen anew when it turns out to be taken.
    let chosen = generated || allocate::is_service(call.served.resource);
    let mut taken = String::new();
    for _ in 0..write::TRIES {
        let untouched = chosen.then(|| object.clone());
        let name = initial::finish(call, &mut object)?;
        let key = call.served.key(&call.address.namespace, &name);
        if !generated && call.served.cache.get(&key).is_some() {
            return Err(Status::already_exists(call.served.resource, &name));
        }
        let home = namespace_stays(call, &name)?;
        let claims = allocate::plan(call, &name, &mut object, None).await?;
        if dry_run {
            return Ok(codec::encode(&object));
        }
        let new = Prepared::new(call, &object);
        let stored = new.stored.clone();
        // One transaction: the object is new, its namespace is still the one that was looked at, what it claims is free.
        match write::put(call, &key, Expect::Absent, new, home.into_iter().chain(claims)).await? {
            Some(revision) => return write::written(call, &key, revision, &stored),
            // The name was taken, or what was to be allocated, or the namespace changed.
            None => taken = name,
        }
        object = untouched.unwrap_or(object);
    }
    Err(Status::already_exists(call.served.resource, &taken))
}

/// Refuses a namespace that is not there or on its way out. The condition keeps it so until the commit.
fn namespace_stays(call: &Call, name: &str) -> Result<Option<Write>, Status> {
    let resource = call.served.resource;
    if resource.scope == Scope::Cluster {
        return Ok(None);
    }
    let Some(namespaces) = call.api.registry().core("namespaces") else { return Ok(None) };
    let namespace = call.address.namespace.as_str();
    let missing = || Status::not_found(namespaces.resource, namespace);
    let entry = namespaces.cache.get(namespace).ok_or_else(missing)?;
    if entry.field("status.phase") == Some("Terminating") {
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let cause = json!({
            "reason": "NamespaceTerminating", "field": "metadata.namespace",
            "message": format!("namespace {namespace} is being terminated"),
        });
        return Err(Status::forbidden(resource, name, why).causes(&[cause]));
    }
    let key = namespaces.store_key("", namespace).into();
    Ok(Some(Write { key, expect: Expect::At(Revision(entry.revision)), change: Change::Keep }))
}
