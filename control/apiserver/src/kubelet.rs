//! Passes requests on to the node that runs a Pod.

mod connect;
mod exchange;
mod log;
mod relay;

use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Request, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::Value;

use crate::{AsyncReadWrite, status::Status, verbs::Call};

pub(crate) use connect::{connect, upgradable};
pub(crate) use exchange::{Answer, exchange, within};
pub(crate) use log::log;
pub(crate) use relay::{Relays, SWITCH, carry};

/// How long a connection to a node may take.
const DIAL: Duration = Duration::from_secs(10);
/// How long a node may take until the head of its answer.
const HEAD: Duration = Duration::from_secs(30);

/// The node that a Pod is bound to.
fn node(call: &Call, pod: &Value) -> Result<String, Status> {
    match pod["spec"]["nodeName"].as_str().unwrap_or_default() {
        "" => Err(Status::bad_request(format!("pod {} does not have a host assigned", call.address.name))),
        node => Ok(node.to_owned()),
    }
}

/// The container that was asked for, or the only one.
fn container(call: &Call, pod: &Value) -> Result<String, Status> {
    let name = &call.address.name;
    let names = |field: &str| -> Vec<String> {
        let list = pod["spec"][field].as_array().into_iter().flatten();
        list.filter_map(|one| one["name"].as_str()).map(str::to_owned).collect()
    };
    let (main, init) = (names("containers"), names("initContainers"));
    if let Some(asked) = call.query.get("container") {
        let known = main.iter().chain(&init).chain(&names("ephemeralContainers")).any(|one| one == asked);
        return match known {
            true => Ok(asked.to_owned()),
            false => Err(Status::bad_request(format!("container {asked} is not valid for pod {name}"))),
        };
    }
    match main.as_slice() {
        [only] => Ok(only.clone()),
        many => {
            let choice = many.join(" ");
            Err(Status::bad_request(format!(
                "a container name must be specified for pod {name}, choose one of: [{choice}]"
            )))
        }
    }
}

/// A connection to a node's kubelet.
pub(crate) async fn dial(call: &Call, node: &str) -> Result<Box<dyn AsyncReadWrite>, Status> {
    within(DIAL, call.api.config().nodes.dial(node)).await.map_err(|error| unreachable(node, &error))
}

/// A connection to a port of a Pod's own address, which its node makes.
pub(crate) async fn dial_pod(
    call: &Call,
    node: &str,
    namespace: &str,
    pod: &str,
    port: u16,
) -> Result<Box<dyn AsyncReadWrite>, Status> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = format!("/podProxy/{namespace}/{pod}/{port}").parse().map_err(Status::internal)?;
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    request.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("tcp"));
    let (answer, upgrade) = switch(call, node, request).await?;
    let upgraded = within(SWITCH, upgrade).await.map_err(|error| unreachable(node, &error))?;
    drop(answer);
    Ok(Box::new(TokioIo::new(upgraded)))
}

/// Asks a node, and waits for the head of its answer.
async fn ask(call: &Call, node: &str, mut request: Request<Body>) -> Result<Answer, Status> {
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("node"));
    let (method, path) = (request.method().clone(), request.uri().clone());
    let unreachable = |error: String| unreachable(node, &format!("{method} {path}: {error}"));
    exchange(dial(call, node).await?, request, HEAD).await.map_err(unreachable)
}

/// As [`ask`], for a connection that the node goes over to another protocol on.
async fn switch(call: &Call, node: &str, request: Request<Body>) -> Result<(Answer, OnUpgrade), Status> {
    let mut answer = ask(call, node, request).await?;
    if answer.response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(answer.failure().await);
    }
    let upgrade = hyper::upgrade::on(&mut answer.response);
    Ok((answer, upgrade))
}

fn unreachable(node: &str, error: &str) -> Status {
    Status::new(500, "InternalError", format!("node {node:?} cannot be reached: {error}"))
}

/// Percent-encodes what must not stand in a query's value.
fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
