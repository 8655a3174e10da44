//! `/eviction` of a Pod: deletes it, in the way that may be refused.

use axum::{body::Body, response::Response};
use carob_schema::Schemas;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Call,
    binding::set_condition,
    body::{self, Decoded},
    delete,
    initial::seconds,
    modify::{Part, modify},
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
    if !options.dry_run {
        let now = Timestamp::now();
        modify(call, Part::Server, |pod| disrupted(call, &options, pod, now)).await?;
        options.resource_version = None;
    }
    delete::remove(call, &options).await?;
    Ok(respond::warn(respond::success(StatusCode::CREATED, &Value::Null), &warnings))
}

/// The Pod as one that does not end by itself, if it is the one that is meant.
fn disrupted(call: &Call, options: &DeleteOptions, pod: &Value, now: Timestamp) -> Result<Decoded, Status> {
    delete::check(call, options, pod)?;
    let mut pod = pod.clone();
    let condition = json!({
        "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting", "lastProbeTime": null, "lastTransitionTime": seconds(now),
    });
    set_condition(&mut pod, condition);
    Ok(Decoded { object: pod, warnings: Vec::new() })
}
