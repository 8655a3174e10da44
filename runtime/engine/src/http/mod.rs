//! Requests to instances.
//!
//! A request enters the container's [`Queue`]. Workers take requests out of it: each is a task that owns one instance at a
//! time (`worker.rs`), in which one or several requests are answered (`instance.rs`). A worker is started when requests
//! wait and no worker is free, within the bounds of the container and of the node's pool; it ends when nothing waits. The
//! caller and the instance know of each other through a [`Lease`](exchange::Lease), so that a caller who goes away ends
//! what nobody waits for.

mod body;
mod call;
mod exchange;
mod instance;
mod queue;
mod worker;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use carob_net::{Body, HttpService, Refused};
use futures::future::{BoxFuture, FutureExt};
use http::{Request, Response, StatusCode};
use tokio::time::timeout;
use wasmtime_wasi_http::handler::ProxyPre;
use wasmtime_wasi_http::{p2, p3};

use crate::container::{StartError, State};
use crate::engine::HttpLimits;
use crate::host::Host;
use crate::program::{Entry, Program};

use exchange::{Replied, Ticket};
use queue::Queue;

/// Answers the requests of one container.
pub(crate) struct Dispatcher {
    shared: Arc<Shared>,
}

/// What the callers and workers of a container share.
struct Shared {
    state: Arc<State>,
    program: ProxyPre<Host>,
    /// What one instance takes of the node's pool.
    slots: u32,
    limits: HttpLimits,
    queue: Queue,
}

type Refusal = (Refused, Option<Request<Body>>);

impl Dispatcher {
    pub(crate) fn new(state: Arc<State>, program: &Program) -> Result<Arc<Self>, StartError> {
        let program = &program.inner;
        let imports = program.linked(&state.engine.linker)?;
        let mut limits = state.engine.http.clone();
        let pre = if program.entry == Entry::HttpP3 {
            ProxyPre::P3(p3::bindings::ServicePre::new(imports)?)
        } else {
            limits.concurrency = 1;
            limits.reuse = if state.config.http_reuse { limits.reuse } else { 1 };
            ProxyPre::P2(p2::bindings::ProxyPre::new(imports)?)
        };
        let queue = Queue::new(limits.queue, limits.instances);
        let slots = program.slots().min(state.engine.pool.capacity);
        let shared = Arc::new(Shared { state, program: pre, slots, limits, queue });
        let ended = Arc::downgrade(&shared);
        shared.state.at_end(move || {
            if let Some(shared) = ended.upgrade() {
                shared.queue.clear();
            }
        });
        Ok(Arc::new(Dispatcher { shared }))
    }

    /// Takes no new request. Those that were taken are answered.
    pub(crate) fn close(&self) {
        self.shared.queue.close();
    }

    /// Ends when the last response was read, after `close`.
    pub(crate) async fn drained(&self) {
        self.shared.queue.drained().await;
    }
}

impl HttpService for Dispatcher {
    fn call(&self, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, Refusal>> {
        answer(self.shared.clone(), request).boxed()
    }

    fn load(&self) -> usize {
        self.shared.queue.open()
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Body>) -> Result<Response<Body>, Refusal> {
    let (ticket, mut reply) = shared.queue.push(request).map_err(|refusal| *refusal)?;
    shared.state.requests.fetch_add(1, Ordering::Relaxed);
    shared.clone().start_worker_if_needed();
    if let Ok(replied) = timeout(shared.limits.queue_wait, &mut reply).await {
        return respond(ticket, replied).await;
    }
    if let Some(request) = shared.queue.take_back(&ticket) {
        return Err((Refused::Overloaded, Some(request)));
    }
    match timeout(shared.limits.response.saturating_sub(shared.limits.queue_wait), reply).await {
        Ok(replied) => respond(ticket, replied).await,
        // Dropping the ticket ends the instance, unless it answers others.
        Err(_) => Ok(timed_out()),
    }
}

async fn respond(mut ticket: Ticket, replied: Replied) -> Result<Response<Body>, Refusal> {
    match replied {
        Ok(Ok(response)) => Ok(body::outgoing(response, ticket)),
        Ok(Err(error)) => {
            ticket.finish();
            Err(exchange::refusal(error))
        }
        // The instance ended with this request in it.
        Err(_) => Err((Refused::Failed(ticket.instance_failure().await.into()), None)),
    }
}

fn timed_out() -> Response<Body> {
    let mut response = Response::new(body::text("the component did not answer in time\n"));
    *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
    response
}

impl Shared {
    fn start_worker_if_needed(self: Arc<Self>) {
        if self.queue.wants_worker() {
            let guests = self.state.engine.guests.handle().clone();
            guests.spawn(worker::work(self));
        }
    }
}
