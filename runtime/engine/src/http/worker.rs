use std::sync::Arc;

use carob_net::Refused;
use tokio::time::{Instant, timeout_at};
use wasmtime::{PoolConcurrencyLimitError, Store};
use wasmtime_wasi_http::handler::Proxy;

use super::Shared;
use super::exchange::{self, Ending, Lease};
use super::instance::{self, Ticks};
use super::queue::{Job, Worker};
use crate::container::{Exit, State};
use crate::host::{self, Host};
use crate::memory::Exceeded;
use crate::output::Stream;
use crate::trap;

/// Answers requests, one instance after another, until none waits.
pub(super) async fn work(shared: Arc<Shared>) {
    let mut worker = shared.queue.worker();
    let slots = shared.state.engine.pool.slots.acquire_many(shared.slots);
    let Some(_slots) = shared.state.killed.run_until_cancelled(slots).await else { return };
    loop {
        let lease = Lease::new();
        let Some(job) = worker.next(&lease) else { break };
        live(&shared, &mut worker, job, lease).await;
    }
    drop(worker);
    // One that came while this worker was counted, but after its last look.
    shared.clone().start_worker_if_needed();
}

/// One instance, from its first request to its end.
async fn live(shared: &Arc<Shared>, worker: &mut Worker<'_>, job: Job, lease: Arc<Lease>) {
    let state = &shared.state;
    let _ending = Ending(lease.clone());
    let run = state.cpu.meter(&state.engine.ticker, run(shared, worker, job, &lease));
    tokio::select! {
        biased;
        ended = run => if let Err(error) = ended {
            failed(state, &lease, &error);
        },
        () = state.killed.cancelled() => {}
        () = lease.forsaken(shared.limits.after_response) => {}
    }
}

async fn run(shared: &Arc<Shared>, worker: &mut Worker<'_>, job: Job, lease: &Arc<Lease>) -> wasmtime::Result<()> {
    let ticks = Arc::new(Ticks::default());
    let deadline = Instant::from_std(job.since + shared.limits.queue_wait);
    loop {
        let released = shared.state.memory.released();
        let error = match instantiate(shared, &ticks).await {
            Ok((store, proxy)) => return instance::serve(shared, worker, lease, &ticks, store, &proxy, job).await,
            Err(error) => error,
        };
        if !waiting_helps(&shared.state, &error) {
            return Err(error);
        }
        if timeout_at(deadline, released).await.is_err() {
            // The caller may be gone; then nobody wants it back.
            let _ = job.reply.send(exchange::given_back(job.request, Refused::Overloaded));
            return Ok(());
        }
    }
}

async fn instantiate(shared: &Arc<Shared>, ticks: &Arc<Ticks>) -> wasmtime::Result<(Store<Host>, Proxy)> {
    let (waiting, ticks) = (shared.clone(), ticks.clone());
    let mut store = host::store(&shared.state, &shared.state.main(), move || {
        ticks.set();
        // This instance keeps its thread busy: what waits for it goes to another.
        waiting.clone().start_worker_if_needed();
    });
    let proxy = shared.program.instantiate_async(&mut store).await?;
    Ok((store, proxy))
}

/// An instance that does not fit waits for another to end, if there is another.
fn waiting_helps(state: &State, error: &wasmtime::Error) -> bool {
    let full = error.is::<Exceeded>() && state.memory.used() > 0;
    full || error.is::<PoolConcurrencyLimitError>()
}

/// A trap ends its instance alone, but memory belongs to the container.
fn failed(state: &State, lease: &Lease, error: &wasmtime::Error) {
    let message = trap::describe(error);
    if error.is::<Exceeded>() {
        state.end(Exit::out_of_memory(message.clone()));
    } else {
        state.config.output.write(Stream::Stderr, format!("the instance ended: {message}\n").as_bytes());
    }
    lease.fail(message);
}
