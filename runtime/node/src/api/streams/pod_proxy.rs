//! `/podProxy/{namespace}/{pod}/{port}`: one connection to a Pod, as it is, over HTTP's `Upgrade: tcp`.
//!
//! No kubelet has this: an API server usually reaches Pods by their addresses, which here only their nodes do. What is
//! spoken on the connection is between the API server and the Pod. Unlike port-forward it comes to the Pod's address, as
//! from outside, and finds nothing that listens on loopback alone.

use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use carob_net::TcpStream;
use futures::future::{Either, select};
use hyper::upgrade::OnUpgrade;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy, split};
use tokio::time::timeout;

use super::forward::connect_to;
use super::upgrade::upgraded;
use super::{Refusal, Shown, network, pod};

const PROTOCOL: &str = "tcp";
/// How long one direction may go on after the other has ended.
const LINGER: Duration = Duration::from_secs(10);

pub(in crate::api) async fn pod_proxy(
    State(shown): State<Shown>,
    Path((namespace, name, port)): Path<(String, String, u16)>,
    mut request: Request,
) -> Result<Response, Refusal> {
    let view = pod(&shown, &namespace, &name)?;
    let network = network(&view)?;
    let upgrade = asked(&mut request)?;
    let address = view.address.ok_or_else(|| unavailable(format!("pod {name:?} has no address")))?;
    let connection = connect_to(&*network, address, port).await;
    let connection = connection.map_err(|error| unavailable(format!("dial tcp {address}:{port}: {error}")))?;
    shown.sessions.start(async move {
        if let Some(client) = upgraded(upgrade).await {
            carry(client, TcpStream::from(connection)).await;
        }
    });
    Ok(switching())
}

fn unavailable(words: String) -> Refusal {
    (StatusCode::SERVICE_UNAVAILABLE, format!("error trying to reach service: {words}"))
}

fn asked(request: &mut Request) -> Result<OnUpgrade, Refusal> {
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let asked = request.headers().get(header::UPGRADE).is_some_and(|protocol| protocol == PROTOCOL);
    upgrade.filter(|_| asked).ok_or_else(|| (StatusCode::BAD_REQUEST, "Upgrade: tcp is required".to_owned()))
}

fn switching() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static(PROTOCOL));
    response
}

/// Until both directions have ended, or one has not a while after the other.
async fn carry(client: impl AsyncRead + AsyncWrite, pod: impl AsyncRead + AsyncWrite) {
    let (from_client, to_client) = split(client);
    let (from_pod, to_pod) = split(pod);
    let (up, down) = (pin!(one_way(from_client, to_pod)), pin!(one_way(from_pod, to_client)));
    let rest = match select(up, down).await {
        Either::Left(((), down)) => Either::Left(down),
        Either::Right(((), up)) => Either::Right(up),
    };
    let _ = timeout(LINGER, rest).await;
}

async fn one_way(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    if let Err(error) = copy(&mut from, &mut to).await {
        tracing::debug!(%error, "a connection to a Pod broke off");
    }
    // Who is gone already need not be told.
    let _ = to.shutdown().await;
}
