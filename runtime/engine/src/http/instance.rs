use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, Sleep, sleep_until};
use wasmtime::Store;
use wasmtime::component::{Accessor, Func};
use wasmtime_wasi_http::handler::Proxy;

use super::call::Call;
use super::exchange::Lease;
use super::queue::{Job, Worker};
use super::{Shared, body};
use crate::host::Host;

/// Set when the guest used up its tick.
#[derive(Default)]
pub(super) struct Ticks(AtomicBool);

impl Ticks {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// Answers `first`, and further requests as far as the program's kind and the limits allow, until the instance is used up
/// or idle.
pub(super) async fn serve(
    shared: &Shared,
    worker: &Worker<'_>,
    lease: &Arc<Lease>,
    ticks: &Ticks,
    mut store: Store<Host>,
    proxy: &Proxy,
    first: Job,
) -> wasmtime::Result<()> {
    let accepted = AtomicBool::new(false);
    let instance = Instance { shared, worker, lease, accepted: &accepted, proxy, func: handler(proxy) };
    let running = store.data().running();
    let mut run = pin!(store.run_concurrent(async |accessor| instance.requests(accessor, first).await));
    let served = poll_fn(|cx| {
        let _ = ticks.take();
        let mut polled = run.as_mut().poll(cx);
        // All that it has waits for something other than the processor: it can take another.
        while polled.is_pending() && !ticks.take() && accepted.swap(false, Ordering::Relaxed) {
            polled = run.as_mut().poll(cx);
        }
        polled
    })
    .await?;
    if served.is_ok() {
        running.finished();
    }
    served
}

fn handler(proxy: &Proxy) -> Func {
    match proxy {
        Proxy::P2(guest) => *guest.wasi_http_incoming_handler().func_handle().func(),
        Proxy::P3(guest) => *guest.wasi_http_handler().func_handle().func(),
    }
}

struct Instance<'a> {
    shared: &'a Shared,
    worker: &'a Worker<'a>,
    lease: &'a Arc<Lease>,
    /// A request was taken and has not waited for anything yet. Taking a second one then would only make it wait for the
    /// processor here, while another worker is free.
    accepted: &'a AtomicBool,
    proxy: &'a Proxy,
    func: Func,
}

impl Instance<'_> {
    async fn requests(&self, accessor: &Accessor<Host>, first: Job) -> wasmtime::Result<()> {
        let mut running = FuturesUnordered::new();
        running.push(self.accept(accessor, first)?);
        let mut served = 1;
        let mut idle = Idle::new(self.shared.limits.idle);
        poll_fn(|cx| {
            loop {
                while let Poll::Ready(Some(answered)) = running.poll_next_unpin(cx) {
                    answered?;
                    idle.restart();
                }
                let callable = accessor.poll_ready_for_concurrent_call(self.func, cx).is_ready();
                let usable = served < self.shared.limits.reuse && !self.lease.is_given_up();
                if callable && usable && self.can_take(running.len()) {
                    if let Some(job) = self.worker.next_or_wait(self.lease, cx.waker()) {
                        running.push(self.accept(accessor, job)?);
                        served += 1;
                        idle.restart();
                        continue;
                    }
                } else if self.shared.limits.reuse > 1 {
                    self.worker.not_free();
                }
                if !running.is_empty() || accessor.poll_no_interesting_tasks(cx).is_pending() {
                    return Poll::Pending;
                }
                if !(callable && usable) {
                    return Poll::Ready(Ok(()));
                }
                return idle.poll(cx).map(Ok);
            }
        })
        .await
    }

    fn can_take(&self, running: usize) -> bool {
        running == 0 || (running < self.shared.limits.concurrency && !self.accepted.load(Ordering::Relaxed))
    }

    fn accept<'a>(
        &'a self,
        accessor: &'a Accessor<Host>,
        job: Job,
    ) -> wasmtime::Result<impl Future<Output = wasmtime::Result<()>> + 'a> {
        self.accepted.store(true, Ordering::Relaxed);
        let call = Call::new(accessor, self.proxy, body::incoming(job.request), job.reply)?;
        Ok(call.run(accessor))
    }
}

/// Ends an instance that has had nothing to do for a while.
struct Idle {
    after: std::time::Duration,
    since: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Idle {
    fn new(after: std::time::Duration) -> Self {
        Idle { after, since: Instant::now(), timer: None }
    }

    fn restart(&mut self) {
        self.since = Instant::now();
    }

    /// The timer is left to run while requests come and go, and set again only when it fires too early.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let end = self.since + self.after;
            if Instant::now() >= end {
                return Poll::Ready(());
            }
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
            match timer.as_mut().poll(cx) {
                Poll::Ready(()) => timer.as_mut().reset(end),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
