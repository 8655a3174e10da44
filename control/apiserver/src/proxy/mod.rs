//! `/proxy` of Nodes, Pods and Services: a request goes on to the kubelet, or to a port of a Pod, and its answer comes back.
//!
//! Pods are reached through their nodes: only there do their addresses lead anywhere. What the API server is told about
//! the client (its token, its certificate) stays here. As in Kubernetes, a redirect within what is proxied is rewritten so
//! that a client finds it; unlike there, links in pages are not.

mod headers;
mod names;
mod target;
mod tls;

use std::time::Duration;

use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use hyper::upgrade::OnUpgrade;

use crate::{
    kubelet::{Answer, carry, exchange, upgradable},
    status::Status,
    verbs::Call,
};
use target::Target;

/// How long whoever is asked may take until the head of its answer. A client waits as long as it likes and goes when it has
/// waited enough; this is for those who never go.
const HEAD: Duration = Duration::from_secs(15 * 60);

/// Passes a request on. `upgrade` is the client's connection, if it may become something else.
pub(crate) async fn answer(call: &Call, body: Body, upgrade: Option<OnUpgrade>) -> Result<Response, Status> {
    let client = match call.headers.contains_key(header::UPGRADE) {
        true => Some(upgradable(&call.headers, upgrade)?),
        false => None,
    };
    let target = Target::find(call)?;
    if client.is_none() && is_bare(call) {
        return redirect(&call.uri);
    }
    if client.is_some() && !target.switches() {
        return Err(Status::bad_request(
            "a kubelet's connections are reached by exec, attach and portforward of its Pods",
        ));
    }
    let request = request(call, body)?;
    let stream = target.dial(call).await?;
    let answer = exchange(stream, request, HEAD).await.map_err(|error| unreachable(&error))?;
    Ok(match client {
        Some(client) if answer.response.status() == StatusCode::SWITCHING_PROTOCOLS => switched(call, answer, client),
        _ => passed_on(call, answer),
    })
}

/// Links relative to a page lead to the right place only if its path ends with a slash.
fn is_bare(call: &Call) -> bool {
    call.address.rest.is_empty() && matches!(call.method, Method::GET | Method::HEAD)
}

fn redirect(uri: &Uri) -> Result<Response, Status> {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = HeaderValue::try_from(format!("{}/{query}", uri.path())).map_err(Status::internal)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// The same request as whoever is asked sees it.
fn request(call: &Call, body: Body) -> Result<Request<Body>, Status> {
    let path = if call.address.rest.is_empty() { "/" } else { &call.address.rest };
    let query = call.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut request = Request::new(body);
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = format!("{path}{query}").parse().map_err(Status::internal)?;
    *request.headers_mut() = headers::onwards(&call.headers, &call.uri);
    Ok(request)
}

/// The part of the path that is ours.
fn prefix(call: &Call) -> &str {
    call.uri.path().strip_suffix(call.address.rest.as_str()).unwrap_or_default()
}

fn passed_on(call: &Call, answer: Answer) -> Response {
    let mut response = answer.streamed();
    *response.headers_mut() = back(call, response.headers());
    response
}

/// Both ends have left HTTP: what they say from now on is between them.
fn switched(call: &Call, mut answer: Answer, client: OnUpgrade) -> Response {
    let server = hyper::upgrade::on(&mut answer.response);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = back(call, answer.response.headers());
    call.api.relays().start(carry(client, server, answer.driver, call.api.ending()));
    response
}

fn back(call: &Call, headers: &HeaderMap) -> HeaderMap {
    headers::back(headers, prefix(call), headers::host(&call.headers, &call.uri))
}

fn unreachable(error: &str) -> Status {
    Status::unavailable(format!("error trying to reach service: {error}"))
}
