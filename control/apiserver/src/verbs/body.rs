//! Reads a request's body as an object of its type.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use carob_schema::{FieldProblem, Parsed, Schemas, TypeRef};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::Call;
use crate::status::Status;

/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many times the limit is read before a body is cut off.
const FORGOTTEN: usize = 8;

/// An object as the client sent it, and what it should be warned about.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) object: Value,
    pub(super) warnings: Vec<String>,
}

/// What to do about unknown and duplicate fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

impl FieldValidation {
    pub(super) fn of(call: &Call) -> Result<Self, Status> {
        match call.query.get("fieldValidation") {
            None | Some("Warn") => Ok(Self::Warn),
            Some("Ignore") => Ok(Self::Ignore),
            Some("Strict") => Ok(Self::Strict),
            Some(other) => Err(Status::new(
                422,
                "Invalid",
                format!(
                    "CreateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: {other:?}: \
                     supported values: \"Ignore\", \"Strict\", \"Warn\""
                ),
            )),
        }
    }

    /// The warnings for these problems; or, if they are not to be borne, what they are called in an error.
    pub(super) fn judge(self, problems: &[FieldProblem]) -> Result<Vec<String>, String> {
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        match self {
            Self::Ignore => Ok(Vec::new()),
            Self::Strict if !told.is_empty() => Err(format!("strict decoding error: {}", told.join(", "))),
            Self::Warn | Self::Strict => Ok(told),
        }
    }
}

/// The whole body, if it is not longer than the limit.
pub(super) async fn read(call: &Call, body: Body) -> Result<Bytes, Status> {
    let late = |_| Status::timeout("Timeout: the request's body did not arrive in time");
    timeout(PATIENCE, collect(body, call.api.config().body_limit)).await.map_err(late)?
}

/// What is too long is still read for a while, and forgotten: a client that is cut off in the middle of sending sees a broken
/// stream instead of the answer.
async fn collect(mut body: Body, limit: usize) -> Result<Bytes, Status> {
    let mut length = 0;
    let mut pieces = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Status::bad_request(format!("the request's body broke off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length > limit.saturating_mul(FORGOTTEN) {
            break;
        }
        if length <= limit {
            pieces.push(data);
        }
    }
    match pieces.as_slice() {
        _ if length > limit => Err(Status::too_large(limit)),
        [whole] => Ok(whole.clone()),
        many => Ok(many.concat().into()),
    }
}

/// The media type of the body, in lower case, without parameters.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Reads the body as an object of the resource's own kind.
pub(super) async fn decode(call: &Call, body: Body) -> Result<Decoded, Status> {
    let resource = call.served.resource;
    decode_as(call, body, call.served.ty, (resource.group, resource.version, resource.kind)).await
}

/// Reads the body as an object of some kind.
pub(super) async fn decode_as(
    call: &Call,
    body: Body,
    ty: TypeRef,
    kind: (&str, &str, &str),
) -> Result<Decoded, Status> {
    let format = Format::of(&call.headers)?;
    let bytes = read(call, body).await?;
    if bytes.is_empty() {
        return Err(Status::bad_request("the request has no body; an object is expected"));
    }
    checked(format.parse(ty, &bytes)?, FieldValidation::of(call)?, kind)
}

/// How an object may be sent.
#[derive(Clone, Copy)]
pub(super) enum Format {
    Json,
    Protobuf,
}

impl Format {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Status> {
        match media_type(headers).as_str() {
            "" | "application/json" => Ok(Self::Json),
            "application/vnd.kubernetes.protobuf" => Ok(Self::Protobuf),
            _ => Err(Status::unsupported_media_type("application/json, application/vnd.kubernetes.protobuf")),
        }
    }

    pub(super) fn parse(self, ty: TypeRef, bytes: &[u8]) -> Result<Parsed, Status> {
        let schemas = Schemas::builtin();
        let parsed = match self {
            Self::Json => schemas.parse(ty, bytes),
            Self::Protobuf => {
                let object = schemas.read_protobuf(bytes).map_err(|error| Status::bad_request(error.to_string()))?;
                schemas.parse_value(ty, object)
            }
        };
        parsed.map_err(|error| Status::bad_request(error.to_string()))
    }
}

fn checked(parsed: Parsed, validation: FieldValidation, gvk: (&str, &str, &str)) -> Result<Decoded, Status> {
    let (group, version, kind) = gvk;
    let strict =
        |told| Status::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {told}"));
    let warnings = validation.judge(&parsed.problems).map_err(strict)?;
    let mut object = parsed.object;
    claim_kind(&mut object, group, version, kind)?;
    Ok(Decoded { object, warnings })
}

/// Fills in a kind and version that were left out; refuses others.
pub(super) fn claim_kind(object: &mut Value, group: &str, version: &str, kind: &str) -> Result<(), Status> {
    let expected = api_version(group, version);
    let fields = object.as_object_mut().ok_or_else(|| Status::bad_request("the body must be a JSON object"))?;
    let said = |fields: &Map<String, Value>, key: &str| {
        fields.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    if let Some(other) = said(fields, "kind").filter(|said| said != kind) {
        let version = said(fields, "apiVersion").unwrap_or_default();
        return Err(Status::bad_request(format!("{other} in version {version:?} cannot be handled as a {kind}")));
    }
    if let Some(other) = said(fields, "apiVersion").filter(|said| *said != expected) {
        return Err(Status::bad_request(format!(
            "the API version in the data ({other}) does not match the expected API version ({expected})"
        )));
    }
    fields.insert("kind".to_owned(), kind.into());
    fields.insert("apiVersion".to_owned(), expected.into());
    if !fields.get("metadata").is_some_and(Value::is_object) {
        fields.insert("metadata".to_owned(), Value::Object(Map::new()));
    }
    Ok(())
}

/// `v1`, or `apps/v1`.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    }
}
