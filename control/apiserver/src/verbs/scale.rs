//! The `autoscaling/v1` Scale of an object: its number of replicas, under an address of its own.

use axum::{body::Body, response::Response};
use carob_resources::{Subresource, selector::LabelSelector};
use carob_schema::{Schemas, TypeRef};
use http::StatusCode;
use serde_json::{Value, json};

use super::{
    Call,
    body::{self, Decoded},
    initial,
    modify::{Part, modify},
    patch::Patch,
    respond,
};
use crate::status::{Status, json_response};

const SCALE: (&str, &str, &str) = ("autoscaling", "v1", "Scale");

/// Where a kind keeps what a Scale shows.
struct Paths {
    spec: &'static str,
    status: &'static str,
    selector: &'static str,
}

pub(super) async fn answer(call: &Call, subresource: &Subresource, body: Body) -> Result<Response, Status> {
    let Subresource::Scale { spec_replicas: spec, status_replicas: status, selector } = *subresource else {
        return Err(Status::no_such_path());
    };
    let paths = Paths { spec, status, selector };
    let ty = Schemas::builtin().of(SCALE.0, SCALE.1, SCALE.2).ok_or_else(|| Status::internal("no schema of Scale"))?;
    if call.verb == "get" {
        return Ok(json_response(StatusCode::OK, &scale(&call.existing()?.object(), &paths)));
    }
    let (object, warnings) = if call.verb == "patch" {
        patched(call, &paths, ty, body).await?
    } else {
        replaced(call, &paths, ty, body).await?
    };
    Ok(respond::warn(json_response(StatusCode::OK, &scale(&object, &paths)), &warnings))
}

async fn replaced(call: &Call, paths: &Paths, ty: TypeRef, body: Body) -> Result<(Value, Vec<String>), Status> {
    let Decoded { object: wish, warnings } = body::decode_as(call, body, ty, SCALE).await?;
    let edit = |old: &Value| Ok(Decoded { object: with_scale(old, &wish, paths)?, warnings: warnings.clone() });
    written(modify(call, Part::Main, edit).await?)
}

async fn patched(call: &Call, paths: &Paths, ty: TypeRef, body: Body) -> Result<(Value, Vec<String>), Status> {
    let patch = Patch::read(call, body).await?;
    let edit = |old: &Value| {
        let Decoded { object: wish, warnings } = patch.apply(ty, SCALE, &scale(old, paths))?;
        Ok(Decoded { object: with_scale(old, &wish, paths)?, warnings })
    };
    written(modify(call, Part::Main, edit).await?)
}

fn written((bytes, warnings): (bytes::Bytes, Vec<String>)) -> Result<(Value, Vec<String>), Status> {
    Ok((serde_json::from_slice(&bytes).map_err(Status::internal)?, warnings))
}

/// The object with the replicas, name and revision that the Scale says.
fn with_scale(old: &Value, wish: &Value, paths: &Paths) -> Result<Value, Status> {
    let replicas = wish.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(0);
    if replicas < 0 {
        let name = wish["metadata"]["name"].as_str().unwrap_or_default();
        return Err(Status::new(
            422,
            "Invalid",
            format!(
                "Scale.autoscaling {name:?} is invalid: spec.replicas: Invalid value: {replicas}: must be greater than or equal to 0"
            ),
        ));
    }
    let mut new = old.clone();
    match new.pointer_mut(paths.spec) {
        Some(place) => *place = json!(replicas),
        None => new["spec"]["replicas"] = json!(replicas),
    }
    let metadata = initial::metadata(&mut new);
    for field in ["name", "uid", "resourceVersion"] {
        match wish["metadata"][field].as_str().filter(|said| !said.is_empty()) {
            Some(said) => metadata.insert(field.to_owned(), json!(said)),
            None if field == "resourceVersion" => metadata.remove(field),
            None => None,
        };
    }
    Ok(new)
}

fn scale(object: &Value, paths: &Paths) -> Value {
    let metadata = &object["metadata"];
    let number = |path: &str| object.pointer(path).and_then(Value::as_i64).unwrap_or(0);
    let mut shown = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        shown[field] = metadata[field].clone();
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": shown,
        "spec": { "replicas": number(paths.spec) },
        "status": { "replicas": number(paths.status), "selector": selector(object.pointer(paths.selector)) },
    })
}

/// A selector as text, of either form that objects have.
fn selector(held: Option<&Value>) -> String {
    let Some(held) = held else { return String::new() };
    let full = held.get("matchLabels").is_some_and(Value::is_object) || held.get("matchExpressions").is_some();
    let parsed = if full { LabelSelector::from_json(held) } else { Some(LabelSelector::from_map(held)) };
    parsed.map(|selector| selector.to_string()).unwrap_or_default()
}
