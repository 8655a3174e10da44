//! One run of an exporter, as its importers see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};

use parking_lot::Mutex;
use tokio::sync::{SetOnce, mpsc, oneshot, watch};
use wasmtime::format_err;

use super::abandoned::Calls;
use super::link::Target;
use super::message::Message;
use super::peer::Peer;
use crate::bounds::CALLS;
use crate::program::Compiled;

/// One run of a container that exports interfaces, as its importers see it.
pub(crate) struct Exporter {
    name: String,
    program: Arc<Compiled>,
    calls: mpsc::Sender<Call>,
    last_call: AtomicU64,
    /// Calls that somebody waits for.
    open: watch::Sender<usize>,
    pub(super) running: Calls,
    released: Mutex<Released>,
    /// Why it ended.
    outcome: SetOnce<String>,
}

/// Resources that no importer holds any more.
#[derive(Default)]
struct Released {
    ids: Vec<u32>,
    waker: Option<Waker>,
}

/// A call that waits for the instance.
pub(super) struct Call {
    pub(super) id: u64,
    pub(super) target: Target,
    pub(super) message: Message,
    pub(super) reply: oneshot::Sender<wasmtime::Result<Message>>,
}

impl Exporter {
    pub(super) fn new(name: &str, program: &Arc<Compiled>) -> (Arc<Exporter>, mpsc::Receiver<Call>) {
        let (calls, waiting) = mpsc::channel(CALLS);
        let exporter = Exporter {
            name: name.to_owned(),
            program: program.clone(),
            calls,
            last_call: AtomicU64::new(0),
            open: watch::Sender::new(0),
            running: Calls::default(),
            released: Mutex::default(),
            outcome: SetOnce::new(),
        };
        (Arc::new(exporter), waiting)
    }

    /// Calls a function, and waits for its results. Dropping the future gives the call up.
    pub(super) async fn call(self: &Arc<Self>, target: Target, message: Message) -> wasmtime::Result<Message> {
        if message.handles.iter().any(|(_, handle)| !Arc::ptr_eq(&handle.remote.exporter, self)) {
            return Err(format_err!(
                "a resource that is passed belongs to an earlier run of container {:?}",
                self.name
            ));
        }
        let id = self.last_call.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        let _caller = Caller::new(self, id);
        if self.calls.send(Call { id, target, message, reply }).await.is_err() {
            return Err(self.ended().await);
        }
        match answer.await {
            Ok(answer) => answer,
            Err(_) => Err(self.ended().await),
        }
    }

    pub(super) fn program(&self) -> &Arc<Compiled> {
        &self.program
    }

    /// Ends when no call is waited for.
    async fn idle(&self) {
        // Both ends are in `self`, so it cannot fail.
        let _ = self.open.subscribe().wait_for(|open| *open == 0).await;
    }

    pub(super) fn release(&self, id: u32) {
        let mut released = self.released.lock();
        released.ids.push(id);
        if let Some(waker) = released.waker.take() {
            waker.wake();
        }
    }

    async fn ended(&self) -> wasmtime::Error {
        let why = self.outcome.wait().await;
        format_err!("container {:?} ended during a call of it: {why}", self.name)
    }

    /// Says why it ended; what is said first counts.
    pub(super) fn end(&self, why: String) {
        let _ = self.outcome.set(why);
    }

    /// What was released since the last look.
    pub(super) fn take_released(&self) -> Vec<u32> {
        std::mem::take(&mut self.released.lock().ids)
    }

    pub(super) fn has_released(&self, cx: &mut Context<'_>) -> bool {
        let mut released = self.released.lock();
        released.waker = Some(cx.waker().clone());
        !released.ids.is_empty()
    }
}

/// Tells the exporter when its caller goes away.
struct Caller<'a> {
    exporter: &'a Exporter,
    id: u64,
}

impl<'a> Caller<'a> {
    fn new(exporter: &'a Exporter, id: u64) -> Caller<'a> {
        exporter.open.send_modify(|open| *open += 1);
        Caller { exporter, id }
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.exporter.open.send_modify(|open| *open -= 1);
        self.exporter.running.abandon(self.id);
    }
}

/// One run, for the container that offers it.
#[derive(Clone)]
pub(crate) struct Offer {
    pub(super) exporter: Arc<Exporter>,
    pub(super) peer: Arc<Peer>,
}

impl Offer {
    /// Takes no new call: whoever calls waits for the next run. Ends once those that it has are answered.
    pub(crate) async fn drained(&self) {
        self.peer.unplug(&self.exporter);
        self.exporter.idle().await;
    }

    /// Ends when no container is linked to it any more.
    pub(crate) async fn unused(&self) {
        self.peer.unused().await;
    }
}
