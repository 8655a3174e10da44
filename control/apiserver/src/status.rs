//! Errors, as Kubernetes tells them to its clients.

use axum::{body::Body, response::Response};
use carob_resources::{Cause, Resource};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A `Status` of failure: why a request was not done. Clients switch on its reason and code.
#[derive(Clone, Debug)]
pub(crate) struct Status(Box<Fields>);

#[derive(Clone, Debug)]
struct Fields {
    code: u16,
    reason: &'static str,
    message: String,
    metadata: Map<String, Value>,
    details: Map<String, Value>,
}

impl Status {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Fields { code, reason, message: message.into(), metadata: Map::new(), details: Map::new() }))
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn forbidden(resource: &Resource, name: &str, why: impl AsRef<str>) -> Self {
        let message = match name {
            "" => format!("{} is forbidden: {}", qualified(resource), why.as_ref()),
            _ => format!("{} {name:?} is forbidden: {}", qualified(resource), why.as_ref()),
        };
        Self::new(403, "Forbidden", message).about(resource, name)
    }

    /// No such path.
    pub(crate) fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} {name:?} not found", qualified(resource))).about(resource, name)
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }

    pub(crate) fn not_acceptable(accepted: &str) -> Self {
        Self::new(406, "NotAcceptable", format!("only the following media types are accepted: {accepted}"))
    }

    pub(crate) fn already_exists(resource: &Resource, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} {name:?} already exists", qualified(resource)))
            .about(resource, name)
    }

    pub(crate) fn conflict(resource: &Resource, name: &str, why: impl AsRef<str>) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {}", qualified(resource), why.as_ref());
        Self::new(409, "Conflict", message).about(resource, name)
    }

    /// The object was changed since the client read it.
    pub(crate) fn modified(resource: &Resource, name: &str) -> Self {
        Self::conflict(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// There is too much to do already.
    pub(crate) fn overloaded() -> Self {
        let told = "Too many requests, please try again later.";
        Self::new(429, "TooManyRequests", told).retry_after(1)
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        Self::new(413, "RequestEntityTooLarge", format!("Request entity too large: limit is {limit}"))
    }

    pub(crate) fn unsupported_media_type(accepted: &str) -> Self {
        Self::new(
            415,
            "UnsupportedMediaType",
            format!("the body of the request was in an unknown format - accepted media types include: {accepted}"),
        )
    }

    /// The object breaks rules of its kind.
    pub(crate) fn invalid(resource: &Resource, name: &str, causes: &[Cause]) -> Self {
        Self::invalid_kind(resource.group, resource.kind, name, causes)
    }

    /// As `invalid`, for a kind that is no resource.
    pub(crate) fn invalid_kind(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Self {
        let qualified = match group {
            "" => kind.to_owned(),
            group => format!("{kind}.{group}"),
        };
        let told: Vec<String> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        let told = match told.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let mut status = Self::new(422, "Invalid", format!("{qualified} {name:?} is invalid: {told}"));
        status.describe(group, kind, name);
        status.causes(causes)
    }

    pub(crate) fn internal(message: impl std::fmt::Display) -> Self {
        Self::new(500, "InternalError", format!("Internal error occurred: {message}"))
    }

    /// What is asked for cannot be reached now.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message)
    }

    pub(crate) fn timeout(message: impl Into<String>) -> Self {
        Self::new(504, "Timeout", message).retry_after(1)
    }

    pub(crate) fn causes<C: Serialize>(mut self, causes: &[C]) -> Self {
        self.0.details.insert("causes".to_owned(), json!(causes));
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.0.details.insert("retryAfterSeconds".to_owned(), json!(seconds));
        self
    }

    /// A token that lets the client go on with an inconsistent list.
    pub(crate) fn with_continue(mut self, token: String) -> Self {
        self.0.metadata.insert("continue".to_owned(), Value::String(token));
        self
    }

    pub(crate) fn code(&self) -> u16 {
        self.0.code
    }

    pub(crate) fn reason(&self) -> &'static str {
        self.0.reason
    }

    fn about(mut self, resource: &Resource, name: &str) -> Self {
        self.describe(resource.group, resource.plural, name);
        self
    }

    fn describe(&mut self, group: &str, kind: &str, name: &str) {
        for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
            if !value.is_empty() {
                self.0.details.insert(key.to_owned(), json!(value));
            }
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": self.0.metadata, "status": "Failure",
            "message": self.0.message, "reason": self.0.reason, "code": self.0.code,
        });
        if !self.0.details.is_empty() {
            status["details"] = Value::Object(self.0.details.clone());
        }
        status
    }

    pub(crate) fn to_response(&self) -> Response {
        let code = StatusCode::from_u16(self.0.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json_response(code, &self.to_json());
        if let Some(seconds) = self.0.details.get("retryAfterSeconds").and_then(Value::as_u64) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<carob_store::Error> for Status {
    fn from(error: carob_store::Error) -> Self {
        use carob_store::Error;
        match error {
            Error::Compacted { asked, oldest } => {
                Self::expired(format!("too old resource version: {asked} ({oldest})"))
            }
            Error::Future { asked, newest } => too_new(asked.0, newest.0),
            Error::Conflict { .. } => Self::new(409, "Conflict", error.to_string()),
            Error::Repeated { .. } | Error::Backend(_) => Self::internal(error),
        }
    }
}

/// The client knows a revision that this server has not seen.
pub(crate) fn too_new(asked: u64, newest: u64) -> Status {
    Status::timeout(format!("Too large resource version: {asked}, current: {newest}"))
        .causes(&[json!({ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" })])
}

/// The name of a resource in messages: `pods`, `deployments.apps`.
pub(crate) fn qualified(resource: &Resource) -> String {
    match resource.group {
        "" => resource.plural.to_owned(),
        group => format!("{}.{group}", resource.plural),
    }
}

/// An answer of JSON.
pub(crate) fn json_response(code: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
