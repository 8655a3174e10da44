use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use carob_net::{Answer, Body, HttpService, Refused};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::sync::Semaphore;

/// An endpoint in this process that answers with its own name.
pub(crate) struct FakeEndpoint {
    name: String,
    closed: AtomicBool,
    waiting: Arc<AtomicUsize>,
    /// An answer is given for each permit; without it, at once.
    answers: Option<Arc<Semaphore>>,
}

impl FakeEndpoint {
    pub(crate) fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), closed: AtomicBool::new(false), waiting: Arc::default(), answers: None }
    }

    /// Answers one request for each permit that is added.
    pub(crate) fn held_by(name: impl Into<String>, answers: Arc<Semaphore>) -> Self {
        Self { answers: Some(answers), ..Self::named(name) }
    }

    /// As a Pod that is being stopped: gives back every request from now on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }
}

impl HttpService for FakeEndpoint {
    fn call(&self, request: Request<Body>) -> Answer {
        if self.closed.load(Ordering::SeqCst) {
            return Box::pin(async { Err((Refused::Closed, Some(request))) });
        }
        let (name, answers, waiting) = (self.name.clone(), self.answers.clone(), self.waiting.clone());
        waiting.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            if let Some(answers) = answers {
                answers.acquire().await.expect("the test does not close it").forget();
            }
            tokio::task::yield_now().await;
            waiting.fetch_sub(1, Ordering::SeqCst);
            Ok(Response::new(Full::new(Bytes::from(name)).map_err(|never| match never {}).boxed_unsync()))
        })
    }

    fn load(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }
}
