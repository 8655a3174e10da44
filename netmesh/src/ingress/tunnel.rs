//! Connections that become something else than HTTP, such as WebSocket: after the endpoint has agreed, the bytes go both ways.

use std::sync::Arc;

use carob_net::{Body, BoxError};
use futures::future::BoxFuture;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::copy_bidirectional_with_sizes;
use tokio::time::timeout;

use super::answer::Client;
use super::headers;
use super::pool::Pool;
use crate::balance::say;
use crate::mesh::Frontend;

/// What is read at once in each direction.
const PIECE: usize = 16 * 1024;

/// What a client's connection has become, for the task that serves it.
#[derive(Clone, Default)]
pub(crate) struct Tunnels(Arc<Mutex<Option<BoxFuture<'static, ()>>>>);

impl Tunnels {
    /// The bytes that go on, if the connection is HTTP no more.
    pub(crate) fn take(&self) -> Option<BoxFuture<'static, ()>> {
        self.0.lock().take()
    }
}

impl Client {
    /// Asks an endpoint that listens at a socket to go on with `protocol`. What answers HTTP in this process cannot, and is
    /// asked without, as HTTP has it.
    pub(crate) async fn upgrade(
        &self,
        frontend: &Frontend,
        protocol: HeaderValue,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let shared = self.gateway.mesh.shared();
        let mut last = None;
        for endpoint in shared.choices(frontend, self.address.ip()) {
            if shared.endpoints.lookup(endpoint).is_some() {
                return self.forward(frontend, request).await;
            }
            match self.gateway.pool.open(self.address, endpoint).await {
                Ok(sender) => {
                    frontend.keep(self.address.ip(), endpoint);
                    let asked = self.ask_to_go_on(sender, protocol, request);
                    return match timeout(self.gateway.timeouts.request, asked).await {
                        Ok(response) => response,
                        Err(_) => say(StatusCode::GATEWAY_TIMEOUT, "the endpoint did not answer in time\n".into()),
                    };
                }
                Err(error) => {
                    shared.standings.failed(endpoint, &error);
                    last = Some(error);
                }
            }
        }
        let why =
            last.map_or_else(|| "has no ready endpoint".to_owned(), |error| format!("takes no connection: {error}"));
        say(StatusCode::SERVICE_UNAVAILABLE, format!("{} {why}\n", frontend.behind()))
    }

    async fn ask_to_go_on(
        &self,
        mut sender: hyper::client::conn::http1::SendRequest<Body>,
        protocol: HeaderValue,
        mut request: Request<Incoming>,
    ) -> Response<Body> {
        let client = hyper::upgrade::on(&mut request);
        headers::to_http1(&mut request);
        go_on(request.headers_mut(), protocol.clone());
        let answered = sender.send_request(request.map(|body| body.map_err(BoxError::from).boxed_unsync())).await;
        let mut response = match answered {
            Ok(response) => response,
            Err(error) => {
                tracing::debug!(%error, "an endpoint broke off instead of an upgrade");
                return say(StatusCode::BAD_GATEWAY, "the endpoint broke off before it answered\n".into());
            }
        };
        let agreed = response.headers().get(UPGRADE).cloned().unwrap_or(protocol);
        let endpoint = hyper::upgrade::on(&mut response);
        headers::strip_hop_by_hop(response.headers_mut());
        *response.version_mut() = Version::HTTP_11;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            go_on(response.headers_mut(), agreed);
            let pool = self.gateway.pool.clone();
            *self.tunnels.0.lock() = Some(Box::pin(carry(client, endpoint, pool)));
        }
        response.map(|body| body.map_err(BoxError::from).boxed_unsync())
    }
}

fn go_on(headers: &mut http::HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Carries bytes both ways until both ends have finished. The pool drives the endpoint's connection until it is handed over.
async fn carry(client: OnUpgrade, endpoint: OnUpgrade, _pool: Arc<Pool>) {
    let (client, endpoint) = match tokio::try_join!(client, endpoint) {
        Ok(both) => both,
        Err(error) => return tracing::debug!(%error, "an upgrade was agreed upon and did not come"),
    };
    let (mut client, mut endpoint) = (TokioIo::new(client), TokioIo::new(endpoint));
    if let Err(error) = copy_bidirectional_with_sizes(&mut client, &mut endpoint, PIECE, PIECE).await {
        tracing::debug!(%error, "an upgraded connection was cut off");
    }
}
