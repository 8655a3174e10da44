//! The way of a request: parse, authenticate, authorize, answer.

use std::time::Instant;

use axum::{body::Body, response::Response};
use http::{HeaderName, HeaderValue, Method, Request};
use hyper::upgrade::OnUpgrade;

use super::in_flight;
use crate::{
    ApiServer, Attributes, Decision, Identity, access, discovery, health,
    metrics::{self, Kind},
    openapi, random,
    registry::subresource_name,
    request::{Address, Form, PROXY, Query, Target},
    status::Status,
    tokens, usage,
    verbs::{self, Call},
};

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// Where a request comes from.
pub(crate) enum Origin {
    /// From a part of this process, which is who it says it is.
    Process(Identity),
    /// From the network, with what its connection has proven. A client that proved nothing there may show a token.
    Network(Option<Identity>),
}

/// Answers one request.
pub(crate) async fn handle(api: &ApiServer, request: Request<Body>, origin: Origin) -> Response {
    let started = Instant::now();
    let target = Target::parse(request.uri().path());
    let query = Query::parse(request.uri());
    let kind = counted_as(api, &target, request.method(), query.as_ref().unwrap_or(&Query::default()));
    let mut response = answer(api, target, query, request, origin).await.unwrap_or_else(|status| status.to_response());
    api.metrics().answered(kind, response.status().as_u16(), started.elapsed());
    response.headers_mut().insert(AUDIT_ID, HeaderValue::from_str(&random::uuid()).expect("a UUID is ASCII"));
    response
}

async fn answer(
    api: &ApiServer,
    target: Target,
    query: Result<Query, Status>,
    request: Request<Body>,
    origin: Origin,
) -> Result<Response, Status> {
    let query = query?;
    match target {
        Target::Health => return health::answer(api, request.uri().path(), &query).await,
        Target::Version => return Ok(discovery::version()),
        _ => {}
    }
    let (identity, place) = match origin {
        Origin::Process(identity) => (identity, None),
        Origin::Network(proven) => {
            let proven = proven.or_else(|| tokens::bearer(api, request.headers()));
            let identity = proven.ok_or_else(Status::unauthorized)?;
            let place = api.in_flight().enter(&identity, &target, &query, request.method())?;
            (identity, place)
        }
    };
    authorize(api, &identity, &target, &query, request.method(), request.uri().path())?;
    let answered = authorized(api, target, query, request, identity).await?;
    Ok(in_flight::hold(answered, place))
}

async fn authorized(
    api: &ApiServer,
    target: Target,
    query: Query,
    request: Request<Body>,
    identity: Identity,
) -> Result<Response, Status> {
    match target {
        Target::Metrics => metrics::answer(api),
        Target::OpenApi(document) => openapi::answer(api, &document, &query, request.headers()),
        Target::OpenId(document) => Ok(tokens::answer(api, document)),
        Target::Discovery(level) => discovery::answer(api, &level, request.headers()),
        Target::Resource(address) => objects(api, address, query, request, identity).await,
        Target::Health | Target::Version | Target::Unknown => Err(Status::no_such_path()),
    }
}

async fn objects(
    api: &ApiServer,
    address: Address,
    query: Query,
    request: Request<Body>,
    identity: Identity,
) -> Result<Response, Status> {
    if let Some(resource) = usage::find(&address) {
        let verb = address.verb(request.method(), &query).ok_or_else(Status::method_not_allowed)?;
        return usage::answer(usage::Read { api, resource, address, verb, query }, request.headers()).await;
    }
    let served = api.registry().find(&address)?;
    let verb = address.verb(request.method(), &query).ok_or_else(Status::method_not_allowed)?;
    let (mut parts, body) = request.into_parts();
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    let form = if is_raw(&address) { Form::Object } else { Form::negotiate(&parts.headers)? };
    let (api, method, uri, headers) = (api.clone(), parts.method, parts.uri, parts.headers);
    let call = Call { api, served, address, verb, method, uri, query, headers, form, identity };
    verbs::answer(call, body, upgrade).await
}

/// Whether what is answered is no object: the client's `Accept` does not speak of it.
fn is_raw(address: &Address) -> bool {
    matches!(&*address.subresource, "log" | PROXY) || is_connection(address)
}

/// Whether it becomes a connection into a Pod.
fn is_connection(address: &Address) -> bool {
    address.resource == "pods" && matches!(&*address.subresource, "exec" | "attach" | "portforward")
}

/// Under which names a request is counted. What is not served is counted without them: anyone can make up names.
fn counted_as(api: &ApiServer, target: &Target, method: &Method, query: &Query) -> Kind {
    let nameless = |verb| Kind { verb, group: "", resource: "", subresource: "" };
    let Target::Resource(address) = target else { return nameless("other") };
    let verb = address.verb(method, query).unwrap_or("other");
    if let Some(resource) = usage::find(address) {
        return Kind { verb, group: resource.group, resource: resource.plural, subresource: "" };
    }
    let Ok(served) = api.registry().find(address) else { return nameless(verb) };
    let subresource = served.subresource(&address.subresource).map(subresource_name).unwrap_or_default();
    Kind { verb, group: served.resource.group, resource: served.resource.plural, subresource }
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
    let none = Address::default();
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
        name: named(address, verb, query),
        path,
    };
    check(api, &attributes)?;
    // A WebSocket begins with a GET, and what it does is more than to read.
    if verb == "get" && is_connection(address) {
        check(api, &Attributes { verb: "create", ..attributes })?;
    }
    Ok(())
}

/// The one object that a request is about: named in its path, or the only one that a list or watch selects.
fn named<'a>(address: &'a Address, verb: &str, query: &'a Query) -> &'a str {
    let selects = matches!(verb, "list" | "watch") && address.name.is_empty();
    let fields = query.get("fieldSelector").filter(|_| selects).unwrap_or_default();
    let mut names = fields.split(',').filter_map(|term| term.strip_prefix("metadata.name="));
    names.next().map_or(&address.name, |name| name.trim_start_matches('='))
}

fn check(api: &ApiServer, attributes: &Attributes<'_>) -> Result<(), Status> {
    match access::decide(api, attributes) {
        Decision::Allow => Ok(()),
        Decision::Deny(why) => Err(denied(attributes, &why)),
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
