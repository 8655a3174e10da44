//! `/exec`, `/attach` and `/portforward` of a Pod: a connection of the client's that becomes one to the node.
//!
//! What is spoken on it (WebSocket, and what it carries) is between the client and the node; here, bytes are passed on.

use axum::{body::Body, response::Response};
use carob_resources::Subresource;
use http::{HeaderMap, HeaderName, Request, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use serde_json::Value;

use super::{carry, container, escape, node, switch};
use crate::{status::Status, verbs::Call};

/// What the two ends agree by, passed on as it is.
const HANDSHAKE: [HeaderName; 7] = [
    header::CONNECTION,
    header::UPGRADE,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::SEC_WEBSOCKET_ACCEPT,
    HeaderName::from_static("x-stream-protocol-version"),
];

/// Answers by switching protocols, once the node has.
pub(crate) async fn connect(
    call: &Call,
    subresource: &Subresource,
    client: Option<OnUpgrade>,
) -> Result<Response, Status> {
    let pod = call.existing()?.object();
    let path = path(call, subresource, &pod)?;
    let node = node(call, &pod)?;
    let client = upgradable(&call.headers, client)?;
    let mut request = Request::new(Body::empty());
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = path.parse().map_err(Status::internal)?;
    *request.headers_mut() = handshake(&call.headers);
    let (answer, node) = switch(call, &node, request).await?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = handshake(answer.response.headers());
    call.api.relays().start(carry(client, node, answer.driver, call.api.ending()));
    Ok(response)
}

/// The same in the kubelet's words.
fn path(call: &Call, subresource: &Subresource, pod: &Value) -> Result<String, Status> {
    let (namespace, name) = (&call.address.namespace, &call.address.name);
    Ok(match subresource {
        Subresource::Exec => {
            let container = container(call, pod)?;
            let mut options = streams(call)?;
            let command: Vec<_> = call.query.all("command").map(|word| format!("command={}", escape(word))).collect();
            if command.is_empty() {
                return Err(Status::bad_request("you must specify at least one command for the container"));
            }
            options.extend(command);
            format!("/exec/{namespace}/{name}/{container}?{}", options.join("&"))
        }
        Subresource::Attach => {
            let container = container(call, pod)?;
            format!("/attach/{namespace}/{name}/{container}?{}", streams(call)?.join("&"))
        }
        _ => {
            let ports: Vec<_> = call.query.all("ports").map(|ports| format!("port={}", escape(ports))).collect();
            format!("/portForward/{namespace}/{name}?{}", ports.join("&"))
        }
    })
}

/// Which streams are wanted, and whether they are a terminal's.
fn streams(call: &Call) -> Result<Vec<String>, Status> {
    let wanted = [("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty")];
    let wanted: Vec<_> = wanted.into_iter().filter(|(ours, _)| call.query.flag(ours)).collect();
    if wanted.iter().all(|(ours, _)| *ours == "tty") {
        return Err(Status::bad_request("you must specify at least 1 of stdin, stdout, stderr"));
    }
    Ok(wanted.into_iter().map(|(_, kubelets)| format!("{kubelets}=1")).collect())
}

/// The client's connection, if it asks for another protocol on it and can have one.
pub(crate) fn upgradable(headers: &HeaderMap, client: Option<OnUpgrade>) -> Result<OnUpgrade, Status> {
    if !headers.contains_key(header::UPGRADE) {
        return Err(Status::bad_request("Upgrade request required"));
    }
    client.ok_or_else(|| {
        Status::bad_request(
            "this request came on a connection that cannot be upgraded: use HTTP/1.1 over the network, not HTTP/2 or a \
             client inside the API server's process",
        )
    })
}

fn handshake(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in HANDSHAKE {
        for value in headers.get_all(&name) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}
