//! Passes requests on to the node that runs a Pod.

mod connect;
mod log;
mod proxy;
mod relay;

use std::{future::Future, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{task::JoinSet, time::timeout};

use crate::{status::Status, verbs::Call};

pub(crate) use connect::connect;
pub(crate) use log::log;
pub(crate) use proxy::proxy;
pub(crate) use relay::Relays;

/// What a node may say about a failure.
const MOST_OF_AN_ERROR: usize = 64 << 10;
/// How long a connection to a node may take.
const DIAL: Duration = Duration::from_secs(10);
/// How long a node may take until the head of its answer.
const HEAD: Duration = Duration::from_secs(30);

/// What a node answered, and the connection that it still comes on.
struct Answer {
    response: Response<Incoming>,
    driver: JoinSet<()>,
}

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

/// Asks a node, and waits for the head of its answer.
async fn ask(call: &Call, node: &str, mut request: Request<Empty<Bytes>>) -> Result<Answer, Status> {
    let (method, path) = (request.method().clone(), request.uri().clone());
    let unreachable = |error: String| {
        Status::new(
            500,
            "InternalError",
            format!("{method} \"https://{node}{path}\": the node cannot be reached: {error}"),
        )
    };
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("node"));
    let stream = within(DIAL, call.api.config().nodes.dial(node)).await.map_err(unreachable)?;
    let (mut sender, connection) =
        within(DIAL, http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream))).await.map_err(unreachable)?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a node's connection ended early");
        }
    });
    let response = within(HEAD, sender.send_request(request)).await.map_err(unreachable)?;
    Ok(Answer { response, driver })
}

/// What it gives in time, or why there is nothing.
async fn within<T, E: std::fmt::Display>(
    time: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match timeout(time, work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err(format!("it did not answer within {time:?}")),
    }
}

impl Answer {
    /// What the node said about a failure, as a Status.
    async fn failure(self) -> Status {
        let code = self.response.status();
        let body = Limited::new(self.response.into_body(), MOST_OF_AN_ERROR).collect();
        let told = match timeout(HEAD, body).await {
            Ok(Ok(body)) => String::from_utf8_lossy(&body.to_bytes()).trim().to_owned(),
            Ok(Err(error)) => format!("the node's answer broke off: {error}"),
            Err(_) => "the node's answer did not end".to_owned(),
        };
        match code {
            StatusCode::NOT_FOUND => Status::new(404, "NotFound", told),
            StatusCode::TOO_MANY_REQUESTS => Status::new(429, "TooManyRequests", told),
            code if code.is_client_error() => Status::bad_request(told),
            _ => Status::internal(told),
        }
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
