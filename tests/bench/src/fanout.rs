//! 1,000 watchers of 100 events per second: the CPU that one delivery costs, beside a bare broadcaster of the same bytes.
//!
//! Nothing is sent over sockets, on either side: encrypting and sending cost both the same, and would only hide the rest.

use std::{
    convert::Infallible,
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
use http::Request;
use http_body_util::BodyExt;
use tokio::{sync::broadcast, time::MissedTickBehavior};
use tokio_stream::wrappers::BroadcastStream;
use tower::ServiceExt;

use crate::{
    objects::{self, CONFIG_MAPS},
    runtime::Metered,
    table::{Row, Target},
};

const WATCHERS: usize = 1000;
const EVENTS: usize = 300;
const BETWEEN: Duration = Duration::from_millis(10);
const VALUE: usize = 1024;

pub(crate) async fn run() -> Result<Vec<Row>> {
    let ours = watched().await?;
    let floor = broadcast().await?;
    // The ratio is the bare broadcaster's cost to ours, upside down: less is better.
    let target = Target::AtMost(1.0 / 0.8);
    let what = "delivery to one of 1,000 watchers, CPU";
    Ok(vec![Row { what, unit: "us each", ours, floor_is: "bare broadcaster", floor, target }])
}

/// Counts what arrives at all watchers.
#[derive(Clone, Default)]
struct Arrivals(Arc<AtomicUsize>);

impl Arrivals {
    /// Reads `body` to its end, an event a line.
    async fn count(self, mut body: Body) {
        while let Some(Ok(frame)) = body.frame().await {
            let lines = frame.data_ref().map_or(0, |bytes| bytes.iter().filter(|byte| **byte == b'\n').count());
            self.0.fetch_add(lines, Ordering::Relaxed);
        }
    }

    async fn reach(&self, count: usize) {
        while self.0.load(Ordering::Relaxed) < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn watched() -> Result<f64> {
    let (runtime, arrivals) = (Metered::new()?, Arrivals::default());
    let started = runtime.spawn(async { ApiServer::new(Arc::new(Memory::new()), Config::default()).await })?;
    let api = started.await??.client(objects::admin());
    objects::create(&api, &objects::config_map("watched", VALUE)).await?;
    for _ in 0..WATCHERS {
        runtime.spawn(arrivals.clone().count(watch(&api).await?))?;
    }
    // The object itself comes first.
    arrivals.reach(WATCHERS).await;
    let before = runtime.cpu()?;
    let mut ticks = ticks();
    for number in 0..EVENTS {
        ticks.tick().await;
        objects::replace(&api, &objects::config_map("watched", VALUE + number % 7 + 1)).await?;
    }
    arrivals.reach(WATCHERS * (EVENTS + 1)).await;
    cost(runtime.cpu()? - before)
}

async fn watch(api: &InProcess) -> Result<Body> {
    let request = Request::get(format!("{CONFIG_MAPS}?watch=true")).body(Body::empty())?;
    Ok(api.clone().oneshot(request).await?.into_body())
}

async fn broadcast() -> Result<f64> {
    let (runtime, arrivals) = (Metered::new()?, Arrivals::default());
    let (send, _) = broadcast::channel::<Bytes>(EVENTS);
    for _ in 0..WATCHERS {
        let events =
            BroadcastStream::new(send.subscribe()).filter_map(async |event| event.ok().map(Ok::<_, Infallible>));
        runtime.spawn(arrivals.clone().count(Body::from_stream(events)))?;
    }
    let line = Bytes::from([&vec![b'x'; VALUE], &b"\n"[..]].concat());
    let (before, mut ticks) = (runtime.cpu()?, ticks());
    for _ in 0..EVENTS {
        ticks.tick().await;
        send.send(line.clone()).context("somebody listens")?;
    }
    arrivals.reach(WATCHERS * EVENTS).await;
    cost(runtime.cpu()? - before)
}

fn ticks() -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(BETWEEN);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// In microseconds for each delivery.
fn cost(cpu: Duration) -> Result<f64> {
    Ok(cpu.as_secs_f64() * 1e6 / (WATCHERS * EVENTS) as f64)
}
