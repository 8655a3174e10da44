//! Passes requests on to the node that runs a Pod.

use axum::{body::Body, response::Response};
use futures::StreamExt;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{status::Status, verbs::Call};

/// What a node may say about a failure.
const MOST_OF_AN_ERROR: usize = 64 << 10;
/// The options of a log, as they stand in the query of both sides.
const LOG_OPTIONS: &[&str] =
    &["follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes", "stream"];

/// `/log` of a Pod: what a container wrote, as it writes it.
pub(crate) async fn log(call: &Call) -> Result<Response, Status> {
    let pod = call.existing()?.object();
    check_log_options(call)?;
    let container = container(call, &pod)?;
    let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
    if node.is_empty() {
        return Err(Status::bad_request(format!("pod {} does not have a host assigned", call.address.name)));
    }
    let (namespace, name) = (&call.address.namespace, &call.address.name);
    let options: Vec<String> = LOG_OPTIONS
        .iter()
        .filter_map(|option| call.query.get(option).map(|value| format!("{option}={}", escape(value))))
        .collect();
    let path = format!("/containerLogs/{namespace}/{name}/{container}?{}", options.join("&"));
    relay(call, node, &path).await
}

fn check_log_options(call: &Call) -> Result<(), Status> {
    for option in ["sinceSeconds", "tailLines", "limitBytes"] {
        let least = if option == "tailLines" { 0 } else { 1 };
        if call.query.number(option)?.is_some_and(|number| number < least) {
            return Err(Status::new(
                422,
                "Invalid",
                format!("PodLogOptions \"\" is invalid: {option}: must be greater than or equal to {least}"),
            ));
        }
    }
    let time = call.query.get("sinceTime").map(str::parse::<jiff::Timestamp>);
    if let Some(Err(error)) = time {
        return Err(Status::bad_request(format!("sinceTime: {error}")));
    }
    Ok(())
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

/// Asks the node and streams its answer.
async fn relay(call: &Call, node: &str, path: &str) -> Result<Response, Status> {
    let unreachable = |error: &dyn std::fmt::Display| {
        Status::new(500, "InternalError", format!("Get \"https://{node}{path}\": the node cannot be reached: {error}"))
    };
    let stream = call.api.config().nodes.dial(node).await.map_err(|error| unreachable(&error))?;
    let (mut sender, connection) =
        http1::handshake::<_, Empty<bytes::Bytes>>(TokioIo::new(stream)).await.map_err(|error| unreachable(&error))?;
    // The connection lives as long as the body that is read from it.
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a node's connection ended early");
        }
    });
    let request = Request::get(path)
        .header(header::HOST, "node")
        .body(Empty::new())
        .map_err(|error| Status::bad_request(error.to_string()))?;
    let answer = sender.send_request(request).await.map_err(|error| unreachable(&error))?;
    if !answer.status().is_success() {
        return Err(failed(answer).await);
    }
    Ok(streamed(answer, driver))
}

fn streamed(answer: http::Response<Incoming>, driver: JoinSet<()>) -> Response {
    let (parts, body) = answer.into_parts();
    let held = body.into_data_stream().map(move |piece| {
        let _alive = &driver;
        piece
    });
    let mut response = Response::new(Body::from_stream(held));
    *response.status_mut() = parts.status;
    let plain = header::HeaderValue::from_static("text/plain");
    let kind = parts.headers.get(header::CONTENT_TYPE).cloned().unwrap_or(plain);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// What the node said, as a Status.
async fn failed(answer: http::Response<Incoming>) -> Status {
    let code = answer.status();
    let told = match Limited::new(answer.into_body(), MOST_OF_AN_ERROR).collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).trim().to_owned(),
        Err(error) => format!("the node's answer broke off: {error}"),
    };
    match code {
        StatusCode::NOT_FOUND => Status::new(404, "NotFound", told),
        code if code.is_client_error() => Status::bad_request(told),
        _ => Status::internal(told),
    }
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
