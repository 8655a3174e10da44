//! Connections to endpoints that answer HTTP at a socket, kept for the next request.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use carob_net::{Body, BoxError, NetworkError, Refused, TcpStream};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::balance;
use crate::mesh::Mesh;

/// Idle connections that are kept to each endpoint.
const KEPT: usize = 64;
/// How long one is kept: shorter than most servers keep theirs, so that few are closed just when they are used.
const KEPT_FOR: Duration = Duration::from_secs(30);
const BETWEEN_SWEEPS: Duration = Duration::from_secs(10);

/// Connections to endpoints. It owns the tasks that drive them.
pub(crate) struct Pool {
    mesh: Mesh,
    idle: Mutex<Idle>,
    driving: Mutex<JoinSet<()>>,
}

struct Idle {
    by_endpoint: HashMap<SocketAddr, Vec<(SendRequest<Body>, Instant)>>,
    swept: Instant,
}

/// An answer, or why there is none, with the request if it was not sent.
type Sent = Result<Response<Body>, (Refused, Option<Request<Body>>)>;

impl Pool {
    pub(crate) fn new(mesh: Mesh) -> Pool {
        let idle = Idle { by_endpoint: HashMap::new(), swept: Instant::now() };
        Pool { mesh, idle: Mutex::new(idle), driving: Mutex::default() }
    }

    /// Sends a request of `client` to an endpoint, by a connection that is idle or by a new one.
    pub(crate) async fn send(
        self: Arc<Self>,
        client: SocketAddr,
        endpoint: SocketAddr,
        mut request: Request<Body>,
    ) -> Sent {
        while let Some(mut sender) = self.take(endpoint) {
            if sender.ready().await.is_err() {
                continue;
            }
            match self.try_send(endpoint, sender, request).await {
                // The endpoint had closed it just before.
                Err((_, Some(untouched))) => request = untouched,
                sent => return sent,
            }
        }
        match self.open(client, endpoint).await {
            Ok(sender) => self.try_send(endpoint, sender, request).await,
            Err(error) => {
                self.mesh.shared().standings.failed(endpoint, &error);
                tracing::debug!(%error, %endpoint, "an endpoint of an Ingress took no connection");
                Err((Refused::Closed, Some(request)))
            }
        }
    }

    /// A new connection for one client alone, that may become something else than HTTP.
    pub(crate) async fn open(
        &self,
        client: SocketAddr,
        endpoint: SocketAddr,
    ) -> Result<SendRequest<Body>, NetworkError> {
        let stream = TcpStream::from(self.mesh.connect_inside(client, endpoint).await?);
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| NetworkError::Other(error.to_string()))?;
        let mut driving = self.driving.lock();
        while driving.try_join_next().is_some() {}
        driving.spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, %endpoint, "a connection to an endpoint of an Ingress ended early");
            }
        });
        Ok(sender)
    }

    async fn try_send(
        self: &Arc<Self>,
        endpoint: SocketAddr,
        mut sender: SendRequest<Body>,
        request: Request<Body>,
    ) -> Sent {
        match sender.try_send_request(request).await {
            Ok(response) => {
                let back = Some((self.clone(), endpoint, sender));
                Ok(response.map(|body| Pooled { body, back }.settled().boxed_unsync()))
            }
            Err(mut error) => match error.take_message() {
                Some(untouched) => Err((Refused::Closed, Some(untouched))),
                None => {
                    let error = error.into_error();
                    tracing::debug!(%error, %endpoint, "an endpoint of an Ingress broke off");
                    Ok(balance::say(StatusCode::BAD_GATEWAY, "the endpoint broke off before it answered\n".into()))
                }
            },
        }
    }

    fn take(&self, endpoint: SocketAddr) -> Option<SendRequest<Body>> {
        let mut idle = self.idle.lock();
        let kept = idle.by_endpoint.get_mut(&endpoint)?;
        // The last one was used last, and is the least likely to be closed.
        std::iter::from_fn(|| kept.pop()).find(is_good).map(|(sender, _)| sender)
    }

    fn give_back(&self, endpoint: SocketAddr, sender: SendRequest<Body>) {
        let mut idle = self.idle.lock();
        let now = Instant::now();
        if now.duration_since(idle.swept) > BETWEEN_SWEEPS {
            idle.swept = now;
            idle.by_endpoint.retain(|_, kept| {
                kept.retain(is_good);
                !kept.is_empty()
            });
        }
        let kept = idle.by_endpoint.entry(endpoint).or_default();
        if kept.len() < KEPT {
            kept.push((sender, now));
        }
    }
}

fn is_good((sender, since): &(SendRequest<Body>, Instant)) -> bool {
    !sender.is_closed() && since.elapsed() < KEPT_FOR
}

/// An answer's body, at whose end the connection is free again. One that is not read to its end closes it.
struct Pooled {
    body: Incoming,
    back: Option<(Arc<Pool>, SocketAddr, SendRequest<Body>)>,
}

impl Pooled {
    fn settled(mut self) -> Pooled {
        self.settle();
        self
    }

    fn settle(&mut self) {
        if self.body.is_end_stream() {
            self.free();
        }
    }

    fn free(&mut self) {
        if let Some((pool, endpoint, sender)) = self.back.take() {
            pool.give_back(endpoint, sender);
        }
    }
}

impl HttpBody for Pooled {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None => self.free(),
            Some(Ok(_)) => self.settle(),
            Some(Err(_)) => self.back = None,
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
