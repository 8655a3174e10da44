//! What a caller and the instance that answers it know of each other.

use std::sync::Arc;
use std::time::Duration;

use carob_net::{Body, Refused};
use futures::channel::oneshot;
use http::{Request, Response};
use parking_lot::Mutex;
use tokio::sync::{Notify, SetOnce};
use tokio::time::timeout;
use wasmtime_wasi_http::WasiBody;

use super::Refusal;
use super::queue::OpenRequest;

/// The response, or the error that the guest gave instead.
type Answer = wasmtime::Result<Response<WasiBody>>;
pub(super) type ReplySender = oneshot::Sender<Answer>;
pub(super) type Reply = oneshot::Receiver<Answer>;
pub(super) type Replied = Result<Answer, oneshot::Canceled>;

/// One request; it learns which instance took it.
#[derive(Default)]
pub(super) struct Exchange {
    stage: Mutex<Stage>,
}

#[derive(Default)]
enum Stage {
    #[default]
    Waiting,
    Taken(Arc<Lease>),
    /// The caller went away before any instance took it.
    Gone,
}

impl Exchange {
    /// `false` if the caller went away.
    pub(super) fn taken_by(&self, lease: &Arc<Lease>) -> bool {
        let mut stage = self.stage.lock();
        if matches!(*stage, Stage::Gone) {
            return false;
        }
        lease.counts.lock().open += 1;
        *stage = Stage::Taken(lease.clone());
        true
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(*self.stage.lock(), Stage::Gone)
    }
}

/// The caller's side of a request, until the response was read to its end. Dropping it earlier gives the request up.
pub(super) struct Ticket {
    id: u64,
    exchange: Arc<Exchange>,
    finished: bool,
    _open: OpenRequest,
}

impl Ticket {
    pub(super) fn new(id: u64, exchange: Arc<Exchange>, open: OpenRequest) -> Self {
        Ticket { id, exchange, finished: false, _open: open }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The response was read to its end: the instance may go on with what it does after it.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }

    /// Why the instance that took the request ended.
    pub(super) async fn instance_failure(&self) -> String {
        let Some(lease) = self.lease() else { return STOPPED.into() };
        lease.outcome.wait().await.clone()
    }

    fn lease(&self) -> Option<Arc<Lease>> {
        match &*self.exchange.stage.lock() {
            Stage::Taken(lease) => Some(lease.clone()),
            Stage::Waiting | Stage::Gone => None,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        match std::mem::replace(&mut *self.exchange.stage.lock(), Stage::Gone) {
            Stage::Taken(lease) => lease.leave(self.finished),
            Stage::Waiting | Stage::Gone => {}
        }
    }
}

/// What a caller is told whose container ended.
const STOPPED: &str = "the container was stopped";

/// One instance, as seen by the callers whose requests it has.
pub(super) struct Lease {
    counts: Mutex<Counts>,
    changed: Notify,
    /// Why it ended, for the requests that it had then.
    outcome: SetOnce<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    /// Requests whose caller waits or reads, and those that were given up.
    open: usize,
    given_up: usize,
}

impl Lease {
    pub(super) fn new() -> Arc<Lease> {
        Arc::new(Lease { counts: Mutex::default(), changed: Notify::new(), outcome: SetOnce::new() })
    }

    fn leave(&self, finished: bool) {
        let mut counts = self.counts.lock();
        if finished {
            counts.open -= 1;
        } else {
            counts.given_up += 1;
        }
        if counts.open == counts.given_up {
            self.changed.notify_one();
        }
    }

    /// Whether a caller went away: there is no way to stop one request in an instance that answers several, so it takes
    /// no more and ends with the others.
    pub(super) fn is_given_up(&self) -> bool {
        self.counts.lock().given_up > 0
    }

    /// Ends when the instance has no more reason to run: everybody who waits for it went away, or all was answered
    /// `after_response` ago.
    pub(super) async fn forsaken(&self, after_response: Duration) {
        self.changed.notified().await;
        loop {
            let counts = *self.counts.lock();
            if counts.given_up > 0 && counts.given_up == counts.open {
                return;
            }
            let next = self.changed.notified();
            if counts != Counts::default() {
                next.await;
            } else if timeout(after_response, next).await.is_err() {
                return;
            }
        }
    }

    /// Says why the instance ended.
    pub(super) fn fail(&self, message: String) {
        // The first reason is the cause of the others.
        let _ = self.outcome.set(message);
    }
}

/// Tells the callers, however the instance's task ends.
pub(super) struct Ending(pub(super) Arc<Lease>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.fail(STOPPED.into());
    }
}

/// Carries a request back to its caller, untouched.
#[derive(thiserror::Error, Debug)]
#[error("{why}")]
struct GivenBack {
    why: Refused,
    request: Mutex<Option<Request<Body>>>,
}

/// What to answer so that the caller gets the request back.
pub(super) fn given_back(request: Request<Body>, why: Refused) -> Answer {
    Err(wasmtime::Error::new(GivenBack { why, request: Mutex::new(Some(request)) }))
}

/// What an answer that is no response means to the caller.
pub(super) fn refusal(error: wasmtime::Error) -> Refusal {
    match error.downcast::<GivenBack>() {
        Ok(GivenBack { why, request }) => (why, request.into_inner()),
        Err(error) => (Refused::Failed(format!("{error:#}").into()), None),
    }
}
