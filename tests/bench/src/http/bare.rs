//! hyper that calls wasmtime itself: the same engine settings, pool, epochs and reuse as ours, and nothing else. No queue,
//! no limits, no meter, and the guests share hyper's threads.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use carob_net::BoxError;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use wasmtime::component::{Component, GuestTaskId, Linker, ResourceTable};
use wasmtime::{Store, StoreContextMut, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, ProxyHandler, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};
use wasmtime_wasi_http::{p2, p3};

use super::serve::{Server, serve};

/// As the engine's: requests per instance, requests at a time, and how long an idle one is kept.
const REUSE: usize = 1024;
const CONCURRENCY: usize = 16;
const IDLE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(1);

/// The server, and the thread that advances its epochs until it is dropped.
pub(crate) struct Bare {
    pub(crate) server: Server,
    stop: Arc<AtomicBool>,
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Serves `wasm` with `engine`, whose settings and pool are ours.
pub(crate) async fn start(engine: &wasmtime::Engine, wasm: &[u8]) -> Result<Bare> {
    let stop = tick(engine.clone());
    let handler = ProxyHandler::new(State { pre: plain(pre(engine, wasm))? });
    let server = serve(move |request| ask(handler.clone(), request)).await?;
    Ok(Bare { server, stop })
}

async fn ask(handler: ProxyHandler<State>, request: Request<Incoming>) -> Result<Response<WasiBody>, BoxError> {
    let request = request.map(|body| body.map_err(Error::from).boxed_unsync());
    handler.handle((), request).await.map_err(|error| format!("{error:#}").into())
}

fn tick(engine: wasmtime::Engine) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            std::thread::sleep(TICK);
            engine.increment_epoch();
        }
    });
    stop
}

/// wasmtime's own error type is no standard error.
pub(crate) fn plain<T>(result: wasmtime::Result<T>) -> Result<T> {
    result.map_err(|error| anyhow!("{error:#}"))
}

/// The component, linked and type-checked.
pub(crate) fn pre(engine: &wasmtime::Engine, wasm: &[u8]) -> wasmtime::Result<ProxyPre<Host>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    let instance = linker.instantiate_pre(&Component::new(engine, wasm)?)?;
    Ok(match p3::bindings::ServicePre::new(instance.clone()) {
        Ok(pre) => ProxyPre::P3(pre),
        Err(_) => ProxyPre::P2(p2::bindings::ProxyPre::new(instance)?),
    })
}

/// A store as bare as it can be.
pub(crate) fn store(engine: &wasmtime::Engine) -> Store<Host> {
    let host =
        Host { wasi: WasiCtx::builder().build(), http: WasiHttpCtx::new(), hooks: Hooks, table: ResourceTable::new() };
    let mut store = Store::new(engine, host);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|_| Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))));
    store
}

pub(crate) struct Host {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

struct Hooks;

type Transmitted = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        _request: Request<WasiBody>,
        _options: Option<RequestOptions>,
        _received: Transmitted,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Transmitted), Error>> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

struct State {
    pre: ProxyPre<Host>,
}

impl HandlerState for State {
    type StoreData = Host;
    type WorkerExpiration = WhenIdle;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<Instance<Host, WhenIdle, Worker>> {
        let (engine, reuse, concurrency) = match &self.pre {
            ProxyPre::P2(pre) => (pre.engine(), 1, 1),
            ProxyPre::P3(pre) => (pre.engine(), REUSE, CONCURRENCY),
        };
        let mut store = store(engine);
        let proxy = self.pre.instantiate_async(&mut store).await?;
        let expiration = WhenIdle(Box::pin(tokio::time::sleep(IDLE)));
        Ok(Instance { store, proxy, view: Host::http, expiration, state: Worker { reuse, concurrency } })
    }
}

struct WhenIdle(Pin<Box<tokio::time::Sleep>>);

impl WorkerExpiration for WhenIdle {
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>, status: WorkerStatus, start: Instant) -> Poll<()> {
        if status != WorkerStatus::Idle {
            return Poll::Pending;
        }
        let end = tokio::time::Instant::from_std(start + IDLE);
        if self.0.deadline() != end {
            self.0.as_mut().reset(end);
        }
        self.0.as_mut().poll(cx)
    }
}

struct Worker {
    reuse: usize,
    concurrency: usize,
}

impl WorkerState for Worker {
    type StoreData = Host;
    type RequestData = ();

    fn should_accept_request(&self, concurrent_count: usize, total_count: usize) -> ShouldAccept {
        if total_count >= self.reuse {
            ShouldAccept::Never
        } else if concurrent_count >= self.concurrency {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        _store: StoreContextMut<'_, Host>,
        _data: (),
        _task: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + 'static + Send + Sync>> {
        Box::pin(std::future::pending())
    }

    fn drop(&self, store: Store<Host>, _result: wasmtime::Result<()>) {
        drop(store);
    }
}
