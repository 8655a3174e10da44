//! Patches an object, or a part of it.

use axum::{body::Body, response::Response};
use carob_schema::{Parsed, Schemas, TypeRef, parse_untyped, patch};
use http::StatusCode;
use serde_json::Value;

use super::{
    Call,
    body::{self, Decoded, FieldValidation},
    modify::{Part, modify},
    respond,
};
use crate::status::Status;

const ACCEPTED: &str =
    "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json";

/// A patch as it was sent.
pub(super) struct Patch {
    kind: Kind,
    content: Value,
    /// What is wrong with its own fields.
    warnings: Vec<String>,
    validation: FieldValidation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Merge,
    Strategic,
}

pub(super) async fn patch(call: &Call, part: Part, body: Body) -> Result<Response, Status> {
    let patch = Patch::read(call, body).await?;
    let resource = call.served.resource;
    let names = (resource.group, resource.version, resource.kind);
    let (bytes, warnings) = modify(call, part, |old| patch.apply(call.served.ty, names, old)).await?;
    Ok(respond::warn(respond::object(call, StatusCode::OK, bytes)?, &warnings))
}

impl Patch {
    pub(super) async fn read(call: &Call, body: Body) -> Result<Self, Status> {
        let kind = match body::media_type(&call.headers).as_str() {
            "application/json-patch+json" => Kind::Json,
            "application/merge-patch+json" => Kind::Merge,
            "application/strategic-merge-patch+json" => Kind::Strategic,
            "application/apply-patch+yaml" | "application/apply-patch+cbor" => {
                return Err(Status::new(
                    415,
                    "UnsupportedMediaType",
                    format!(
                        "this server does not speak server-side apply yet; accepted media types include: {ACCEPTED}"
                    ),
                ));
            }
            _ => return Err(Status::unsupported_media_type(ACCEPTED)),
        };
        let validation = FieldValidation::of(call)?;
        let bytes = body::read(call, body).await?;
        let Parsed { object: content, problems } =
            parse_untyped(&bytes).map_err(|error| Status::bad_request(error.to_string()))?;
        let warnings = validation.judge(&problems).map_err(Status::bad_request)?;
        Ok(Self { kind, content, warnings, validation })
    }

    /// The object that the patch makes of `old`, checked against its type.
    pub(super) fn apply(&self, ty: TypeRef, names: (&str, &str, &str), old: &Value) -> Result<Decoded, Status> {
        let schemas = Schemas::builtin();
        let patched = match self.kind {
            Kind::Json => patch::json(old, &self.content),
            Kind::Merge => patch::merge(old, &self.content),
            Kind::Strategic => schemas.strategic_merge(ty, old, &self.content),
        };
        let patched = patched.map_err(refused)?;
        let parsed = schemas.parse_value(ty, patched).map_err(|error| Status::bad_request(error.to_string()))?;
        let mut warnings = self.warnings.clone();
        warnings.extend(self.validation.judge(&parsed.problems).map_err(|told| self.invalid(&told))?);
        let mut object = parsed.object;
        body::claim_kind(&mut object, names.0, names.1, names.2)?;
        Ok(Decoded { object, warnings })
    }

    fn invalid(&self, told: &str) -> Status {
        let content = self.content.to_string();
        Status::new(422, "Invalid", format!(" \"\" is invalid: patch: Invalid value: {content:?}: {told}"))
    }
}

fn refused(error: patch::PatchError) -> Status {
    use patch::PatchError;
    match error {
        PatchError::Malformed(message) => Status::bad_request(message),
        PatchError::TooLarge(message) => Status::new(413, "RequestEntityTooLarge", message),
        PatchError::Unprocessable(message) => Status::new(422, "Invalid", message),
    }
}
