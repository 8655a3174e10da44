use std::net::SocketAddr;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{Request, Response, Uri, Version};
use http_body_util::BodyExt;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::timeout;
use wasmtime_wasi_http::{Error, WasiBody};

use super::error::exchanging;
use super::target::Target;
use super::{Failed, Inner};

/// An HTTP/1.1 connection. It ends when it is dropped and its last response was read.
pub(super) struct Connection {
    sender: SendRequest<WasiBody>,
}

/// Connects, and makes sure of the other end if it is to be TLS. Dropping the future gives up.
pub(super) async fn open(outgoing: &Inner, target: &Target, address: SocketAddr) -> Result<Connection, Error> {
    let io = outgoing.connect(address).await?;
    let tls = target.tls.then(|| (outgoing.tls.clone(), target.host.clone()));
    let (opened, opening) = oneshot::channel();
    outgoing.meter.spawn(async move {
        match tls {
            Some((tls, host)) => run(async move { tls.connect(&host, io).await }, opened).await,
            None => run(async { Ok(io) }, opened).await,
        }
    });
    opening.await.unwrap_or(Err(Error::ConnectionTerminated))
}

/// The whole life of a connection, as long as somebody waits for it or holds it: one task, at the container's expense.
async fn run<T>(io: impl Future<Output = Result<T, Error>>, mut opened: oneshot::Sender<Result<Connection, Error>>)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let handshake = async {
        let handshake = http1::handshake(TokioIo::new(io.await?)).await;
        handshake.map_err(|error| exchanging(&error))
    };
    let (connection, driver) = tokio::select! {
        made = handshake => match made {
            Ok((sender, driver)) => (Ok(Connection { sender }), Some(driver)),
            Err(error) => (Err(error), None),
        },
        () = opened.closed() => return,
    };
    if let (Ok(()), Some(driver)) = (opened.send(connection), driver) {
        // Ends with the sender, or with the other end. What goes wrong is told to whoever waits for the response.
        let _ = driver.await;
    }
}

impl Connection {
    /// Whether it waits for a request.
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends one request, and waits for the head of its response.
    pub(super) async fn send(
        mut self,
        request: Request<WasiBody>,
        patience: Duration,
    ) -> Result<(Response<WasiBody>, Connection), Failed> {
        let sent = timeout(patience, self.sender.try_send_request(in_origin_form(request))).await;
        match sent {
            Ok(Ok(response)) => {
                let body = |body: hyper::body::Incoming| body.map_err(|error| exchanging(&error)).boxed_unsync();
                Ok((response.map(body), self))
            }
            Ok(Err(mut failed)) => Err(Failed { error: exchanging(failed.error()), request: failed.take_message() }),
            Err(_) => Err(Failed { error: Error::ConnectionReadTimeout, request: None }),
        }
    }
}

/// To anybody but a proxy, a request names its path alone.
fn in_origin_form(mut request: Request<WasiBody>) -> Request<WasiBody> {
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from(path.unwrap_or(PathAndQuery::from_static("/")));
    *request.version_mut() = Version::HTTP_11;
    request
}
