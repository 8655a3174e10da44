//! What can happen to a request on its way: it is refused, it is done and the answer is lost, it is done twice, it
//! takes its time; and watches break, or are told that they are too old.

use std::convert::Infallible;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use carob_apiserver::InProcess;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use serde_json::json;
use tokio::time::{Sleep, sleep};
use tower::{Service, ServiceExt};

type Future = Pin<Box<dyn std::future::Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// How often what happens, in percent, and a seed for when.
pub(crate) struct Faults {
    random: AtomicU64,
    percent: u64,
}

impl Faults {
    pub(crate) fn none() -> Self {
        Self { random: AtomicU64::new(0), percent: 0 }
    }

    /// Each kind of fault happens to so many of a hundred requests.
    pub(crate) fn seeded(seed: u64, percent: u64) -> Self {
        Self { random: AtomicU64::new(seed), percent }
    }

    fn strikes(&self) -> bool {
        self.below(100) < self.percent
    }

    /// splitmix64
    fn below(&self, bound: u64) -> u64 {
        let mut z = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// An API server behind a bad line.
#[derive(Clone)]
pub(crate) struct Faulty {
    api: InProcess,
    faults: Arc<Faults>,
}

impl Faulty {
    pub(crate) fn new(api: InProcess, faults: Arc<Faults>) -> Self {
        Self { api, faults }
    }

    async fn answer(self, request: Request<kube::client::Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let faults = self.faults;
        let is_watch = parts.uri.query().unwrap_or_default().contains("watch=true");
        let again = || Request::from_parts(parts.clone(), Full::new(body.clone()));
        let ask = || async { self.api.clone().oneshot(again()).await.unwrap() };
        if faults.strikes() {
            sleep(Duration::from_millis(faults.below(2000))).await;
        }
        if faults.strikes() {
            return failure(if is_watch { StatusCode::GONE } else { StatusCode::SERVICE_UNAVAILABLE });
        }
        let answer = ask().await;
        if is_watch {
            return if faults.strikes() || faults.strikes() { cut(answer, faults.below(5000)) } else { answer };
        }
        if faults.strikes() {
            return failure(StatusCode::INTERNAL_SERVER_ERROR);
        }
        if faults.strikes() {
            return ask().await;
        }
        if faults.strikes() {
            sleep(Duration::from_millis(faults.below(2000))).await;
        }
        answer
    }
}

impl Service<Request<kube::client::Body>> for Faulty {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Future;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Future {
        let this = self.clone();
        Box::pin(async move { Ok(this.answer(request).await) })
    }
}

fn failure(code: StatusCode) -> Response<Body> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code.as_u16(),
        "message": "a fault", "reason": code.canonical_reason(),
    });
    let response = Response::builder().status(code).header("content-type", "application/json");
    response.body(Body::from(status.to_string())).unwrap()
}

/// The watch ends after so many milliseconds, as if nothing were wrong.
fn cut(answer: Response<Body>, after: u64) -> Response<Body> {
    let end = Box::pin(sleep(Duration::from_millis(after)));
    answer.map(|body| Body::new(Cut { body, end }))
}

struct Cut {
    body: Body,
    end: Pin<Box<Sleep>>,
}

impl http_body::Body for Cut {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_frame(context)
    }
}
