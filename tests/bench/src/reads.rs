//! GET of one object and LIST of 10,000, over TLS, beside hyper that returns the same bytes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use axum::body::Body;
use bytes::Bytes;
use carob_apiserver::{ApiServer, Config};
use carob_store::Memory;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    measure::{Load, closed_loop},
    objects::{self, PODS},
    runtime::Metered,
    table::{Row, Target},
    wire::{Tls, serve_bare},
};

const OBJECTS: usize = 10_000;
const TURNS: usize = 3;
const TURN: Duration = Duration::from_millis(1000);

pub(crate) async fn run() -> Result<Vec<Row>> {
    let (runtime, tls) = (Metered::new()?, Tls::new()?);
    let api = Served::api(&runtime, &tls).await?;
    let get = compare(&runtime, &tls, api, &format!("{PODS}/pod-1"), 32).await?;
    let list = compare(&runtime, &tls, api, PODS, 4).await?;
    Ok(vec![
        get.row("GET of a Pod over TLS", "per second", Load::per_second, Target::AtLeast(0.8)),
        get.cpu("GET of a Pod over TLS, CPU of the server", Target::None),
        list.row("LIST of 10,000 Pods over TLS", "per second", Load::per_second, Target::AtLeast(0.7)),
        list.row("LIST of 10,000 Pods over TLS, p99", "ms", |load| load.quantile(0.99), Target::AtMost(1.0 / 0.7)),
        list.cpu("LIST of 10,000 Pods over TLS, CPU of the server", Target::AtMost(1.0 / 0.7)),
    ])
}

/// Something that serves.
#[derive(Clone, Copy)]
struct Served(SocketAddr);

impl Served {
    /// The API server with its objects. It serves until its runtime ends.
    async fn api(runtime: &Metered, tls: &Tls) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, tls) = (listener.local_addr()?, tls.server.clone());
        let (filled, ready) = tokio::sync::oneshot::channel();
        runtime.spawn(async move {
            let api = ApiServer::new(Arc::new(Memory::new()), Config::default()).await?;
            let client = api.client(objects::admin());
            for number in 0..OBJECTS {
                objects::create(&client, objects::pod(&format!("pod-{number}"))).await?;
            }
            // The one who waits may have given up.
            let _ = filled.send(());
            api.serve(listener, tls, CancellationToken::new()).await;
            anyhow::Ok(())
        })?;
        ready.await.context("the API server did not start")?;
        Ok(Self(address))
    }

    async fn same(runtime: &Metered, tls: &Tls, body: Bytes) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        runtime.spawn(serve_bare(listener, tls.server.clone(), move || Body::from(body.clone())))?;
        Ok(Self(address))
    }
}

/// What one side did, and what it cost the server.
#[derive(Default)]
struct Side {
    load: Load,
    cpu: Duration,
}

impl Side {
    async fn turn(&mut self, runtime: &Metered, tls: &Tls, server: Served, path: &str, clients: usize) -> Result<()> {
        let clients = tls.clients(clients, server.0, path).await?;
        let before = runtime.cpu()?;
        self.load.add(closed_loop(clients, TURN).await?);
        self.cpu += runtime.cpu()? - before;
        Ok(())
    }

    fn microseconds_each(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.load.count() as f64
    }
}

struct Comparison {
    ours: Side,
    floor: Side,
}

const FLOOR: &str = "hyper with the same bytes";

impl Comparison {
    fn row(&self, what: &'static str, unit: &'static str, figure: impl Fn(&Load) -> f64, target: Target) -> Row {
        Row { what, unit, ours: figure(&self.ours.load), floor_is: FLOOR, floor: figure(&self.floor.load), target }
    }

    fn cpu(&self, what: &'static str, target: Target) -> Row {
        let (ours, floor) = (self.ours.microseconds_each(), self.floor.microseconds_each());
        Row { what, unit: "us each", ours, floor_is: FLOOR, floor, target }
    }
}

async fn compare(runtime: &Metered, tls: &Tls, api: Served, path: &str, clients: usize) -> Result<Comparison> {
    let body = tls.clients(1, api.0, path).await?.pop().context("one client")?.get().await?;
    let same = Served::same(runtime, tls, body).await?;
    let (mut ours, mut floor) = (Side::default(), Side::default());
    for _ in 0..TURNS {
        floor.turn(runtime, tls, same, path, clients).await?;
        ours.turn(runtime, tls, api, path, clients).await?;
    }
    Ok(Comparison { ours, floor })
}
