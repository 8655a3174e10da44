//! The way of a request: parse, authenticate, authorize, answer.

use axum::{body::Body, response::Response};
use http::{HeaderName, HeaderValue, Method, Request};

use crate::{
    ApiServer, Attributes, Decision, Identity,
    request::{Query, Target},
    status::Status,
};

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// Answers one request; `identity` is what its transport has proven.
pub(crate) async fn handle(api: &ApiServer, request: Request<Body>, identity: Option<Identity>) -> Response {
    let target = Target::parse(request.uri().path());
    let mut response = answer(api, target, request, identity).await.unwrap_or_else(|status| status.to_response());
    let id = uuid::Uuid::new_v4().to_string();
    response.headers_mut().insert(AUDIT_ID, HeaderValue::from_str(&id).expect("a UUID is ASCII"));
    response
}

async fn answer(
    api: &ApiServer,
    target: Target,
    request: Request<Body>,
    identity: Option<Identity>,
) -> Result<Response, Status> {
    let query = Query::parse(request.uri())?;
    if !matches!(target, Target::Health | Target::Version) {
        let identity = identity.as_ref().ok_or_else(Status::unauthorized)?;
        authorize(api, identity, &target, &query, request.method(), request.uri().path())?;
    }
    Err(Status::no_such_path())
}

fn authorize(
    api: &ApiServer,
    identity: &Identity,
    target: &Target,
    query: &Query,
    method: &Method,
    path: &str,
) -> Result<(), Status> {
    let other = method.as_str().to_ascii_lowercase();
    let none = crate::request::Address::default();
    let (verb, address) = match target {
        Target::Resource(address) => (address.verb(method, query).ok_or_else(Status::method_not_allowed)?, address),
        _ => (other.as_str(), &none),
    };
    let attributes = Attributes {
        identity,
        verb,
        group: &address.group,
        resource: &address.resource,
        subresource: &address.subresource,
        namespace: &address.namespace,
        name: &address.name,
        path,
    };
    match api.config().authorizer.authorize(&attributes) {
        Decision::Allow => Ok(()),
        Decision::Deny(why) => Err(denied(&attributes, &why)),
    }
}

/// Says, in Kubernetes' words, who may not do what.
fn denied(attributes: &Attributes<'_>, why: &str) -> Status {
    let user = &attributes.identity.user;
    let because = if why.is_empty() { String::new() } else { format!(": {why}") };
    if attributes.resource.is_empty() {
        let (verb, path) = (attributes.verb, attributes.path);
        return Status::new(403, "Forbidden", format!("forbidden: User {user:?} cannot {verb} path {path:?}{because}"));
    }
    let place = match attributes.namespace {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    let resource = match attributes.subresource {
        "" => attributes.resource.to_owned(),
        subresource => format!("{}/{subresource}", attributes.resource),
    };
    let group = attributes.group;
    let verb = attributes.verb;
    Status::new(
        403,
        "Forbidden",
        format!(
            "{resource} is forbidden: User {user:?} cannot {verb} resource {resource:?} in API group {group:?} {place}{because}"
        ),
    )
}
