//! `/portForward/{namespace}/{pod}`: connections to a Pod's ports, over its own loopback.

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::upgrade::{Agreed, agree};
use super::{Refusal, Shown, pod, tunnel};

/// SPDY inside of a WebSocket: what `kubectl port-forward` speaks.
const PROTOCOL: &str = "SPDY/3.1+portforward.k8s.io";

pub(in crate::api) async fn port_forward(
    State(shown): State<Shown>,
    Path((namespace, name)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    let view = pod(&shown, &namespace, &name)?;
    let network = view.network.clone();
    let network =
        network.ok_or_else(|| (StatusCode::BAD_REQUEST, format!("pod {name:?} has no network (any more)")))?;
    let (_, response, upgrade) = agree(request, &[PROTOCOL])?.into_parts();
    let session = async move {
        let Some(socket) = Agreed::socket(upgrade).await else { return };
        tunnel::run(socket, network).await;
        tracing::debug!(pod = name, "a port-forward has ended");
    };
    shown.sessions.start(session);
    Ok(response)
}
