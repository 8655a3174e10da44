//! One request over a connection of its own.

use std::{future::Future, time::Duration};

use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
    time::timeout,
};

use crate::status::Status;

/// What a node may say about a failure.
const MOST_OF_AN_ERROR: usize = 64 << 10;
/// How long it may take to say it.
const FAILURE: Duration = Duration::from_secs(30);

/// What was answered, and the connection that it still comes on.
pub(crate) struct Answer {
    pub(crate) response: Response<Incoming>,
    pub(crate) driver: JoinSet<()>,
}

/// Sends a request in HTTP/1.1, and waits for the head of the answer, `patience` at most.
pub(crate) async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Body>,
    patience: Duration,
) -> Result<Answer, String> {
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection for one request ended early");
        }
    });
    let response = within(patience, sender.send_request(request)).await?;
    Ok(Answer { response, driver })
}

/// What it gives in time, or why there is nothing.
pub(crate) async fn within<T, E: std::fmt::Display>(
    time: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match timeout(time, work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err(format!("it did not answer within {time:?}")),
    }
}

impl Answer {
    /// The answer as it comes. Its connection lives as long as the body that is read from it.
    pub(crate) fn streamed(self) -> Response<Body> {
        let Answer { response, driver } = self;
        response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _alive = &driver;
                frame
            }))
        })
    }

    /// What the node said about a failure, as a Status.
    pub(crate) async fn failure(self) -> Status {
        let code = self.response.status();
        let body = Limited::new(self.response.into_body(), MOST_OF_AN_ERROR).collect();
        let told = match timeout(FAILURE, body).await {
            Ok(Ok(body)) => String::from_utf8_lossy(&body.to_bytes()).trim().to_owned(),
            Ok(Err(error)) => format!("the node's answer broke off: {error}"),
            Err(_) => "the node's answer did not end".to_owned(),
        };
        match code {
            StatusCode::NOT_FOUND => Status::new(404, "NotFound", told),
            StatusCode::TOO_MANY_REQUESTS => Status::new(429, "TooManyRequests", told),
            StatusCode::SERVICE_UNAVAILABLE => Status::unavailable(told),
            code if code.is_client_error() => Status::bad_request(told),
            _ => Status::internal(told),
        }
    }
}
