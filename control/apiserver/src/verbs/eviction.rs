//! `/eviction` of a Pod: deletes it, in the way that may be refused.

use axum::{body::Body, response::Response};
use carob_schema::Schemas;
use http::StatusCode;
use serde_json::Value;

use super::{
    Call,
    body::{self, Decoded},
    delete,
    options::DeleteOptions,
    respond,
};
use crate::status::Status;

const EVICTION: (&str, &str, &str) = ("policy", "v1", "Eviction");

pub(super) async fn create(call: &Call, body: Body) -> Result<Response, Status> {
    let ty = Schemas::builtin()
        .of(EVICTION.0, EVICTION.1, EVICTION.2)
        .ok_or_else(|| Status::internal("no schema of Eviction"))?;
    let Decoded { object, warnings } = body::decode_as(call, body, ty, EVICTION).await?;
    let said = object["metadata"]["name"].as_str().unwrap_or_default();
    if !said.is_empty() && said != call.address.name {
        return Err(Status::bad_request(format!(
            "name in URL does not match name in Eviction object: {} instead of {said}",
            call.address.name
        )));
    }
    let mut options = DeleteOptions::from_json(&object["deleteOptions"])?;
    options.dry_run |= call.query.dry_run()?;
    delete::remove(call, &options).await?;
    Ok(respond::warn(respond::success(StatusCode::CREATED, &Value::Null), &warnings))
}
