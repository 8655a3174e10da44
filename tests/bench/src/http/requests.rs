//! Requests per second through a node port: of a native endpoint, and of the two greeters.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{bare, client, guest, native, node_port, ours, wasmtime_serve};
use crate::measure::Load;
use crate::table::{Row, Target};

const CONNECTIONS: usize = 64;
const ROUND: Duration = Duration::from_secs(1);
/// Contenders take turns, so that what else the machine does meets all of them.
const ROUNDS: usize = 5;

pub(crate) async fn run() -> Result<Vec<Row>> {
    let guests = guest::engine()?;
    let native = native::start().await?;
    let mut rows = vec![native_endpoints(native.address).await?];
    for (sample, what) in [
        ("hello-http", "hello-http (0.2) through a node port"),
        ("hello-http-p3", "hello-http-p3 (0.3) through a node port"),
    ] {
        let container = ours::container(&guests.engine, &guests.program(sample).await?, &[])?;
        let ours = node_port::start(vec![container.http().context("the program serves no HTTP")?]).await?;
        let bare = bare::start(guests.engine.wasmtime(), &guest::wasm(sample)?).await?;
        let own = ours.address;
        let [ours, bare, native] = take_turns([own, bare.server.address, native.address]).await?;
        rows.push(row(what, ours, "bare hyper and wasmtime", bare, Target::AtLeast(0.9)));
        rows.push(row(what, ours, "native hyper", native, Target::None));
        rows.extend(beside_wasmtime_serve(what, sample, own).await?);
    }
    Ok(rows)
}

/// The peer's row, where the peer is installed.
async fn beside_wasmtime_serve(what: &'static str, sample: &str, ours: SocketAddr) -> Result<Option<Row>> {
    let Some(peer) = wasmtime_serve::start(&guest::path(sample)).await? else { return Ok(None) };
    let [ours, peer] = take_turns([ours, peer.address]).await?;
    Ok(Some(row(what, ours, "wasmtime serve", peer, Target::AtLeast(1.1))))
}

/// What the node port itself costs.
async fn native_endpoints(native: SocketAddr) -> Result<Row> {
    let three = (0..3).map(|_| Arc::new(node_port::Native) as _).collect();
    let ours = node_port::start(three).await?;
    let [ours, native] = take_turns([ours.address, native]).await?;
    Ok(row("three native endpoints through a node port", ours, "native hyper", native, Target::None))
}

fn row(what: &'static str, ours: f64, floor_is: &'static str, floor: f64, target: Target) -> Row {
    Row { what, unit: "requests/s", ours, floor_is, floor, target }
}

/// Requests per second of each.
pub(super) async fn take_turns<const N: usize>(servers: [SocketAddr; N]) -> Result<[f64; N]> {
    let mut loads = [const { Load::EMPTY }; N];
    for round in 0..=ROUNDS {
        for (load, server) in loads.iter_mut().zip(servers) {
            let one = client::load(server, CONNECTIONS, ROUND).await?;
            // The first round warms up.
            if round > 0 {
                load.add(one);
            }
        }
    }
    Ok(loads.map(|load| load.per_second()))
}
