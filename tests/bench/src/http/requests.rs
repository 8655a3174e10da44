//! Requests per second of the two greeters.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;

use super::{bare, client, guest, native, ours};
use crate::measure::Load;
use crate::table::{Row, Target};

const CONNECTIONS: usize = 64;
const ROUND: Duration = Duration::from_secs(1);
/// Contenders take turns, so that what else the machine does meets all of them.
const ROUNDS: usize = 5;

pub(crate) async fn run() -> Result<Vec<Row>> {
    let guests = guest::engine()?;
    let native = native::start().await?;
    let mut rows = Vec::new();
    for (sample, beside_bare, beside_native) in [
        ("hello-http", "hello-http (0.2), fresh instances", "hello-http (0.2), fresh instances"),
        ("hello-http-p3", "hello-http-p3 (0.3), reused instances", "hello-http-p3 (0.3), reused instances"),
    ] {
        let container = ours::container(&guests.engine, &guests.program(sample).await?, &[])?;
        let ours = ours::start(&container).await?;
        let bare = bare::start(guests.engine.wasmtime(), &guest::wasm(sample)?).await?;
        let [ours, bare, native] = take_turns([ours.address, bare.server.address, native.address]).await?;
        rows.push(row(beside_bare, ours, "bare hyper and wasmtime", bare, Target::AtLeast(0.9)));
        rows.push(row(beside_native, ours, "native hyper", native, Target::None));
    }
    Ok(rows)
}

fn row(what: &'static str, ours: f64, floor_is: &'static str, floor: f64, target: Target) -> Row {
    Row { what, unit: "requests/s", ours, floor_is, floor, target }
}

/// Requests per second of each.
async fn take_turns<const N: usize>(servers: [SocketAddr; N]) -> Result<[f64; N]> {
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
