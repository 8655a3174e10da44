//! How objects are sent.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use carob_resources::table::{self, Include};
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Call;
use crate::{
    request::Form,
    status::{Status, json_response},
};

/// One object, in the form the client wants.
pub(super) fn object(call: &Call, code: StatusCode, bytes: Bytes) -> Result<Response, Status> {
    if call.form == Form::Object {
        return Ok(encoded(code, bytes));
    }
    let object: Value = serde_json::from_slice(&bytes).map_err(Status::internal)?;
    Ok(json_response(code, &formed(call, object)?))
}

/// One object in another form than its own.
pub(super) fn formed(call: &Call, object: Value) -> Result<Value, Status> {
    match call.form {
        Form::Object => Ok(object),
        Form::Metadata => Ok(metadata_only(object)),
        Form::Table => {
            let version = object["metadata"]["resourceVersion"].clone();
            let mut table = table_of(call, &[object])?;
            table["metadata"] = json!({ "resourceVersion": version });
            Ok(table)
        }
    }
}

/// The table of objects; its metadata is still to be set.
pub(super) fn table_of(call: &Call, objects: &[Value]) -> Result<Value, Status> {
    let wish = call.query.get("includeObject").unwrap_or_default();
    let include = Include::parse(wish)
        .ok_or_else(|| Status::bad_request(format!("unrecognized includeObject value: {wish:?}")))?;
    Ok(table::table(call.served.resource, objects, Timestamp::now(), include))
}

/// An object's metadata alone.
pub(super) fn metadata_only(mut object: Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"].take(),
    })
}

/// JSON that is encoded already.
pub(super) fn encoded(code: StatusCode, bytes: impl Into<Body>) -> Response {
    let mut response = Response::new(bytes.into());
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A Status that says that it is done.
pub(super) fn success(code: StatusCode, details: &Value) -> Response {
    let mut status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" });
    if code == StatusCode::CREATED {
        status["code"] = json!(201);
    }
    if !details.is_null() {
        status["details"] = details.clone();
    }
    json_response(code, &status)
}

/// Adds `Warning` headers, as RFC 7234 has them.
pub(super) fn warn(mut response: Response, warnings: &[String]) -> Response {
    for warning in warnings {
        let clean: String = warning.chars().filter(|c| !c.is_control()).collect();
        let quoted = clean.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}
