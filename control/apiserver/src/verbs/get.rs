//! One object.

use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use tokio::time::timeout;

use super::{Call, respond};
use crate::status::{Status, too_new};

/// How long a read waits for a revision that the client knows and this server does not yet.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn get(call: &Call) -> Result<Response, Status> {
    if let Some(revision) = call.query.revision()? {
        reach(call, revision).await?;
    }
    respond::object(call, StatusCode::OK, call.existing()?.bytes.clone())
}

/// Waits for a revision that a client asks for, though not for ever.
pub(super) async fn reach(call: &Call, revision: u64) -> Result<(), Status> {
    let applied = call.api.applied();
    match timeout(PATIENCE, applied.reach(revision)).await {
        Ok(()) => Ok(()),
        Err(_) => Err(too_new(revision, applied.now())),
    }
}
