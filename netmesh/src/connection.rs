//! Serves HTTP/1.1 and HTTP/2 (with prior knowledge) on one connection, of the host or of a Pod.

use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use carob_net::{Body, BoxError};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The time for a request's head to arrive, and so also how long an idle HTTP/1.1 connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// An HTTP/2 client that answers no ping for this long is gone.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Of a request's head.
const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 128;
const MAX_STREAMS: u32 = 256;

/// What a client's end of sending means before it has its answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SendingEnds {
    /// It may be gone: a host's socket does not tell. Nothing more is done for it.
    Gone,
    /// It waits: within the process a client that goes resets the connection.
    Waits,
}

/// The servers of all connections: they hold only settings.
static TO_HOST: LazyLock<auto::Builder<TokioExecutor>> = LazyLock::new(|| server(SendingEnds::Gone));
static WITHIN: LazyLock<auto::Builder<TokioExecutor>> = LazyLock::new(|| server(SendingEnds::Waits));

fn server(sending_ends: SendingEnds) -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .half_close(sending_ends == SendingEnds::Waits)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_TIMEOUT)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES as u32);
    server
}

/// Answers the requests that come on `stream` until the client has had enough of it, or `drain` asks to finish those that
/// are under way.
pub(crate) async fn serve<S, F, A>(stream: S, answer: F, sending_ends: SendingEnds, drain: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Body>) -> A + Send,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let asked = AtomicBool::new(false);
    let service = service_fn(|request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        let answered = answer(request.map(|body| body.map_err(BoxError::from).boxed_unsync()));
        async move { Ok::<_, Infallible>(answered.await) }
    });
    let server = match sending_ends {
        SendingEnds::Gone => &TO_HOST,
        SendingEnds::Waits => &WITHIN,
    };
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = drain.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = silence(&asked) => return,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection of HTTP ended early");
    }
}

/// Ends if no request has come in time: before the first bytes tell the version of HTTP, none of hyper's time-outs holds.
async fn silence(asked: &AtomicBool) {
    sleep(HEAD_TIMEOUT).await;
    if asked.load(Ordering::Relaxed) {
        pending::<()>().await;
    }
}
