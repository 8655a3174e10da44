//! Replaces an object, or a part of it.

use axum::{body::Body, response::Response};
use http::StatusCode;
use serde_json::Value;

use super::{
    Call,
    body::{self, Decoded},
    create,
    modify::{Part, modify},
    respond,
};
use crate::status::Status;

/// Kinds that an update creates when they are not there.
const CREATED_BY_UPDATE: &[&str] = &["Endpoints", "Event", "Lease"];

pub(super) async fn update(call: &Call, part: Part, body: Body) -> Result<Response, Status> {
    let Decoded { object, warnings } = body::decode(call, body).await?;
    let creates = part == Part::Main && CREATED_BY_UPDATE.contains(&call.served.resource.kind);
    let (code, bytes) = match call.existing() {
        Err(_) if creates && names_match(call, &object) => (StatusCode::CREATED, create::insert(call, object).await?),
        _ => {
            let edit = |_: &_| Ok(Decoded { object: object.clone(), warnings: Vec::new() });
            (StatusCode::OK, modify(call, part, edit).await?.0)
        }
    };
    Ok(respond::warn(respond::object(call, code, bytes)?, &warnings))
}

fn names_match(call: &Call, object: &Value) -> bool {
    object["metadata"]["name"] == call.address.name.as_str()
}
