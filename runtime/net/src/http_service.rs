use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;

/// Whatever went wrong while a body was produced.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request or response that is handed over in process.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A response on its way, or why there is none, with the request if it was not started.
pub type Answer = BoxFuture<'static, Result<Response<Body>, (Refused, Option<Request<Body>>)>>;

/// Something in this process that answers HTTP requests, such as a component that exports `wasi:http`.
pub trait HttpService: Send + Sync + 'static {
    /// Answers one request. Dropping the future cancels it.
    ///
    /// When it is [`Refused::Overloaded`] or [`Refused::Closed`] the request is given back untouched, so that the caller
    /// can take it elsewhere.
    fn call(&self, request: Request<Body>) -> Answer;

    /// Requests that are waiting or being answered now; the load balancer compares it.
    fn load(&self) -> usize;
}

/// Why an endpoint gave no response.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Its queue is full; another endpoint, or a later try, may answer.
    #[error("the endpoint has too many requests waiting")]
    Overloaded,
    /// It has begun to shut down and takes nothing new; the request was not started.
    #[error("the endpoint is shutting down")]
    Closed,
    /// The request was started and its handler ended without a response.
    #[error("the handler gave no response: {0}")]
    Failed(BoxError),
}
