//! Deletes all objects that a selection matches.

use axum::{body::Body, response::Response};
use futures::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use std::sync::Arc;

use super::{Call, delete, list, options::DeleteOptions, page::Page};
use crate::{
    cache::{Entry, Selection},
    status::Status,
};

const AT_ONCE: usize = 16;

pub(super) async fn delete_collection(call: &Call, body: Body) -> Result<Response, Status> {
    let options = DeleteOptions::read(call, body).await?;
    let selection = Selection::parse(call.served.resource, &call.address, &call.query)?;
    let snapshot = call.served.cache.snapshot(&selection.prefix(), None);
    let chosen: Vec<Arc<Entry>> = snapshot.entries.into_iter().filter(|entry| selection.matches(entry)).collect();
    stream::iter(chosen.clone())
        .map(|entry| one(call, entry, &options))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    list::respond(call, StatusCode::OK, Page::whole(snapshot.revision, chosen))
}

/// An object that went meanwhile is no error: it was to go.
async fn one(call: &Call, entry: Arc<Entry>, options: &DeleteOptions) -> Result<(), Status> {
    let single = call.about(call.served.clone(), entry.namespace(), entry.name(), "delete");
    match delete::remove(&single, options).await {
        Err(status) if status.code() != 404 => Err(status),
        _ => Ok(()),
    }
}
