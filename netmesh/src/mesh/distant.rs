//! HTTP services at Pods of other nodes, for whoever asks without a connection: each request gets one of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use carob_net::{Answer, Body, BoxError, HttpService, NetworkError, PipeEnd, Protocol, Refused, TcpStream};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Request, Response, Uri, Version, header};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use super::Shared;
use super::connect::over_pipe;
use super::pod::Pod;
use super::route::{NamedBy, Route, Source};
use super::tcp::{Held, Port};
use crate::balance;
use crate::peers::protocol::Origin;

/// Whoever answers HTTP at an endpoint of another node.
#[derive(Clone)]
pub(crate) struct Distant {
    pub(crate) shared: Arc<Shared>,
    pub(crate) source: Source,
    pub(crate) endpoint: SocketAddr,
}

impl HttpService for Distant {
    fn call(&self, request: Request<Body>) -> Answer {
        let distant = self.clone();
        Box::pin(async move {
            match distant.connect().await {
                Ok(stream) => ask(stream, distant.shared.runtime(), request).await,
                Err(NetworkError::AccessDenied(why)) => Ok(balance::denied_there(&why)),
                Err(error) => {
                    distant.shared.standings.failed(distant.endpoint, &error);
                    Err((Refused::Closed, Some(request)))
                }
            }
        })
    }

    fn load(&self) -> usize {
        self.shared.elsewhere.towards(self.endpoint.ip()).map_or(0, |peer| peer.load(self.endpoint))
    }
}

impl Distant {
    async fn connect(&self) -> Result<TcpStream, NetworkError> {
        let (origin, client, held) = self.begin()?;
        let route = self.shared.route(&self.source, Protocol::Tcp, self.endpoint, NamedBy::Service)?;
        let Route::Elsewhere(peer, to, passed) = route else { return Err(NetworkError::RemoteUnreachable) };
        let end: PipeEnd = self.shared.pass_on(peer, passed, origin, (client, to)).await?;
        Ok(over_pipe((client, to), end, held).into())
    }

    /// Who asks, and by which address; a Pod takes one for it.
    fn begin(&self) -> Result<(Origin, SocketAddr, Option<Held>), NetworkError> {
        match &self.source {
            Source::Pod(pod) => {
                let held = pod.any_port(self.endpoint.ip())?;
                let local =
                    pod.source(held.0.key.address, self.endpoint.ip()).ok_or(NetworkError::RemoteUnreachable)?;
                Ok((Origin::Pod, local, Some(held)))
            }
            Source::Outside(client) => Ok((Origin::Outside, *client, None)),
            Source::Elsewhere(_) => Err(NetworkError::RemoteUnreachable),
        }
    }
}

impl Pod {
    /// An address of any port to reach `remote` from, and the socket for it.
    fn any_port(self: &Arc<Self>, remote: IpAddr) -> Result<Held, NetworkError> {
        let any: IpAddr = if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let Port { lease, socket } = self.port((any, 0).into())?;
        Ok(Arc::new((lease, socket)))
    }
}

/// Asks over a connection that is for nothing else. Dropping the future, or the answer's body, cuts it off.
async fn ask(
    stream: TcpStream,
    runtime: &Handle,
    request: Request<Body>,
) -> Result<Response<Body>, (Refused, Option<Request<Body>>)> {
    let (mut sender, connection) = match http1::handshake(TokioIo::new(stream)).await {
        Ok(shaken) => shaken,
        Err(error) => return Err((Refused::Failed(error.into()), Some(request))),
    };
    let carrying = AbortOnDropHandle::new(runtime.spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a request to another node was cut off");
        }
    }));
    match sender.try_send_request(written(request)).await {
        Ok(response) => Ok(response.map(|body| Carried { body, _carrying: carrying }.boxed_unsync())),
        Err(mut error) => match error.take_message() {
            Some(untouched) => Err((Refused::Closed, Some(untouched))),
            None => Err((Refused::Failed(error.into_error().into()), None)),
        },
    }
}

/// The request as HTTP/1.1 writes it: the path in its first line, whom it is for in a header.
fn written(mut request: Request<Body>) -> Request<Body> {
    let host = request.uri().authority().map(Authority::as_str).and_then(|host| HeaderValue::from_str(host).ok());
    if let Some(host) = host {
        request.headers_mut().entry(header::HOST).or_insert(host);
    }
    let target = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
    *request.version_mut() = Version::HTTP_11;
    request
}

/// The body of an answer, with the connection that it comes by.
struct Carried {
    body: Incoming,
    _carrying: AbortOnDropHandle<()>,
}

impl HttpBody for Carried {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(cx).map_err(BoxError::from)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Empty;

    use super::*;

    #[test]
    fn a_request_says_in_a_header_whom_it_is_for() {
        for (uri, own, target, host) in [
            ("http://web.default:81/a?b", None, "/a?b", "web.default:81"),
            ("http://web/", Some("shop.example"), "/", "shop.example"),
            ("/a", Some("shop.example"), "/a", "shop.example"),
        ] {
            let mut request = Request::builder().uri(uri).version(Version::HTTP_2);
            if let Some(own) = own {
                request = request.header(header::HOST, own);
            }
            let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
            let written = written(request.body(body).unwrap());
            assert_eq!((written.uri().to_string().as_str(), written.version()), (target, Version::HTTP_11), "{uri}");
            assert_eq!(written.headers()[header::HOST], host, "{uri}");
        }
    }
}
