//! 1,000 watchers of 100 events per second, over TLS: the CPU that one delivery costs the server, beside a bare
//! broadcaster that sends the same bytes over the same kind of connection.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use axum::body::Body;
use bytes::Bytes;
use carob_apiserver::{ApiServer, Config, InProcess};
use carob_store::Memory;
use futures::StreamExt;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::TcpListener,
    sync::{broadcast, oneshot},
    task::JoinSet,
    time::MissedTickBehavior,
};
use tokio_stream::wrappers::BroadcastStream;
use tokio_util::sync::CancellationToken;

use crate::{
    objects::{self, CONFIG_MAPS},
    runtime::Metered,
    table::{Row, Target},
    wire::{Getter, Tls, serve_bare},
};

const WATCHERS: usize = 1000;
const EVENTS: usize = 200;
const BETWEEN: Duration = Duration::from_millis(10);
const VALUE: usize = 1024;

pub(crate) async fn run() -> Result<Vec<Row>> {
    allow_files()?;
    let tls = Tls::new()?;
    let ours = watched(&tls).await?;
    let floor = broadcast(&tls).await?;
    let what = "delivery to one of 1,000 watchers over TLS, CPU";
    // Less is better here: 0.8 of the bare broadcaster's speed is 1/0.8 of its cost.
    let target = Target::AtMost(1.0 / 0.8);
    Ok(vec![Row { what, unit: "us each", ours, floor_is: "bare broadcaster", floor, target }])
}

/// Both ends of all connections are files of this process.
fn allow_files() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

async fn watched(tls: &Tls) -> Result<f64> {
    let runtime = Metered::new()?;
    let (address, api) = serve_api(&runtime, tls).await?;
    objects::create(&api, objects::config_map("watched", VALUE)).await?;
    let watchers = Watchers::connect(tls, address, &format!("{CONFIG_MAPS}?watch=true")).await?;
    // The object itself comes first.
    watchers.received(1).await;
    let before = runtime.cpu()?;
    let mut ticks = ticks();
    for number in 0..EVENTS {
        ticks.tick().await;
        objects::replace(&api, objects::config_map("watched", VALUE + number % 7 + 1)).await?;
    }
    watchers.received(1 + EVENTS).await;
    Ok(cost(runtime.cpu()? - before))
}

/// Serves on the runtime that is metered; the client that is returned works where it is asked.
async fn serve_api(runtime: &Metered, tls: &Tls) -> Result<(SocketAddr, InProcess)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (address, tls) = (listener.local_addr()?, tls.server.clone());
    let (started, starting) = oneshot::channel();
    runtime.spawn(async move {
        let api = ApiServer::new(Arc::new(Memory::new()), Config::default()).await?;
        // The one who waits may have given up.
        let _ = started.send(api.client(objects::admin()));
        api.serve(listener, tls, CancellationToken::new()).await;
        anyhow::Ok(())
    })?;
    Ok((address, starting.await.context("the API server did not start")?))
}

async fn broadcast(tls: &Tls) -> Result<f64> {
    let runtime = Metered::new()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (send, _) = broadcast::channel::<Bytes>(EVENTS);
    let subscribe = send.clone();
    runtime.spawn(serve_bare(listener, tls.server.clone(), move || {
        let events = BroadcastStream::new(subscribe.subscribe());
        Body::from_stream(events.filter_map(async |event| event.ok().map(Ok::<_, Infallible>)))
    }))?;
    let watchers = Watchers::connect(tls, address, "/").await?;
    let line = Bytes::from([&vec![b'x'; VALUE], &b"\n"[..]].concat());
    let (before, mut ticks) = (runtime.cpu()?, ticks());
    for _ in 0..EVENTS {
        ticks.tick().await;
        send.send(line.clone()).context("somebody listens")?;
    }
    watchers.received(EVENTS).await;
    Ok(cost(runtime.cpu()? - before))
}

/// All the watchers, each with a connection of its own.
struct Watchers {
    received: Arc<AtomicUsize>,
    _reading: JoinSet<()>,
}

impl Watchers {
    async fn connect(tls: &Tls, address: SocketAddr, path: &str) -> Result<Self> {
        let (received, mut reading) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
        for mut getter in tls.clients(WATCHERS, address, path).await? {
            let body = getter.open().await?;
            reading.spawn(count(getter, body, received.clone()));
        }
        Ok(Self { received, _reading: reading })
    }

    /// Waits until each watcher has had so many events.
    async fn received(&self, each: usize) {
        while self.received.load(Ordering::Relaxed) < each * WATCHERS {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Counts the events, one a line, as long as they come. The connection lasts as long.
async fn count(_connection: Getter, mut body: Incoming, received: Arc<AtomicUsize>) {
    while let Some(Ok(frame)) = body.frame().await {
        let lines = frame.data_ref().map_or(0, |bytes| bytes.iter().filter(|byte| **byte == b'\n').count());
        received.fetch_add(lines, Ordering::Relaxed);
    }
}

fn ticks() -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(BETWEEN);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// In microseconds for each delivery.
fn cost(cpu: Duration) -> f64 {
    cpu.as_secs_f64() * 1e6 / (WATCHERS * EVENTS) as f64
}
