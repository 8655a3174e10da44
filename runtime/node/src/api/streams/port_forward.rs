//! `/portForward/{namespace}/{pod}`: connections to a Pod's ports, over its own loopback.

use axum::extract::{Path, Query, Request, State};
use axum::response::Response;

use super::channels::V4;
use super::query::{self, Pairs};
use super::upgrade::{Agreed, agree};
use super::{Refusal, Shown, network, pod, ports, tunnel};

/// SPDY inside of a WebSocket: what `kubectl port-forward` speaks.
const SPDY: &str = "SPDY/3.1+portforward.k8s.io";

pub(in crate::api) async fn port_forward(
    State(shown): State<Shown>,
    Path((namespace, name)): Path<(String, String)>,
    Query(pairs): Query<Pairs>,
    request: Request,
) -> Result<Response, Refusal> {
    let network = network(&*pod(&shown, &namespace, &name)?)?;
    let (protocol, response, upgrade) = agree(request, &[SPDY, V4])?.into_parts();
    // A client of SPDY names the port of each connection when it opens it.
    let ports = if protocol == V4 { query::ports(&pairs)? } else { Vec::new() };
    let session = async move {
        let Some(socket) = Agreed::socket(upgrade).await else { return };
        match protocol {
            V4 => ports::run(socket, network, ports).await,
            _ => tunnel::run(socket, network).await,
        }
        tracing::debug!(pod = name, "a port-forward has ended");
    };
    shown.sessions.start(session);
    Ok(response)
}
