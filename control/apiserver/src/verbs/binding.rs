//! `/binding` of a Pod: puts it on a node.

use axum::{body::Body, response::Response};
use carob_schema::Schemas;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Call,
    body::{self, Decoded},
    initial::seconds,
    modify::{Part, modify},
    respond,
};
use crate::status::Status;

const BINDING: (&str, &str, &str) = ("", "v1", "Binding");

pub(super) async fn create(call: &Call, body: Body) -> Result<Response, Status> {
    let ty = Schemas::builtin()
        .of(BINDING.0, BINDING.1, BINDING.2)
        .ok_or_else(|| Status::internal("no schema of Binding"))?;
    let Decoded { object: binding, warnings } = body::decode_as(call, body, ty, BINDING).await?;
    let node = binding["target"]["name"].as_str().filter(|name| !name.is_empty());
    let node = node.ok_or_else(|| {
        Status::new(422, "Invalid", "Binding \"\" is invalid: target.name: Required value".to_owned())
    })?;
    if binding["target"]["kind"].as_str().is_some_and(|kind| !matches!(kind, "" | "Node")) {
        let told = "Binding \"\" is invalid: target.kind: Unsupported value: supported values: \"Node\", \"<empty>\"";
        return Err(Status::new(422, "Invalid", told));
    }
    let now = Timestamp::now();
    let edit = |pod: &Value| Ok(Decoded { object: bound(call, pod, &binding, node, now)?, warnings: Vec::new() });
    modify(call, Part::Server, edit).await?;
    Ok(respond::warn(respond::success(StatusCode::CREATED, &Value::Null), &warnings))
}

/// The Pod on its node, with the labels and annotations that the binding brings.
fn bound(call: &Call, pod: &Value, binding: &Value, node: &str, now: Timestamp) -> Result<Value, Status> {
    let name = &call.address.name;
    let refuse = |why: String| Err(Status::conflict(call.served.resource, name, why));
    if let Some(wanted) = binding["metadata"]["uid"].as_str().filter(|uid| pod["metadata"]["uid"] != *uid) {
        return refuse(format!(
            "Precondition failed: UID in precondition: {wanted}, UID in object meta: {}",
            pod["metadata"]["uid"]
        ));
    }
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return refuse(format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    if let Some(other) = pod["spec"]["nodeName"].as_str().filter(|other| !other.is_empty()) {
        return refuse(format!("pod {name} is already assigned to node {other:?}"));
    }
    let mut pod = pod.clone();
    pod["spec"]["nodeName"] = json!(node);
    for field in ["labels", "annotations"] {
        for (key, value) in binding["metadata"][field].as_object().into_iter().flatten() {
            pod["metadata"][field][key] = value.clone();
        }
    }
    scheduled(&mut pod, now);
    Ok(pod)
}

fn scheduled(pod: &mut Value, now: Timestamp) {
    let condition = json!({
        "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": seconds(now),
    });
    set_condition(pod, condition);
}

/// Puts a condition into an object's status, in the place of one of the same type.
pub(super) fn set_condition(object: &mut Value, condition: Value) {
    let status = &mut object["status"];
    let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    conditions.retain(|one| one["type"] != condition["type"]);
    conditions.push(condition);
    status["conditions"] = Value::Array(conditions);
}
