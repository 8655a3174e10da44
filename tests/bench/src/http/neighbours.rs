//! What a server notices of guests that never give the processor back.

use std::time::Duration;

use anyhow::Result;

use super::{client, guest, ours};
use crate::table::{Row, Target};

const TIME: Duration = Duration::from_secs(5);
/// One tick of the engine's epoch clock, in milliseconds.
const TICK: f64 = 1.0;

pub(crate) async fn run() -> Result<Vec<Row>> {
    let guests = guest::engine()?;
    let hello = ours::container(&guests.engine, &guests.program("hello-http").await?, &[])?;
    let server = ours::start(&hello).await?;
    let idle = client::load(server.address, 1, TIME).await?.quantile(0.99);
    let cores = std::thread::available_parallelism()?.get();
    let misbehave = guests.program("misbehave").await?;
    let mut rows = Vec::new();
    for (per_core, what) in
        [(1, "a neighbour's p99, 1 spinner per core"), (3, "a neighbour's p99, 3 spinners per core")]
    {
        let spinners: Result<Vec<_>> = (0..per_core * cores)
            .map(|_| ours::container(&guests.engine, &misbehave, &["misbehave", "spin"]))
            .collect();
        let _spinners = spinners?;
        let beside = client::load(server.address, 1, TIME).await?.quantile(0.99);
        rows.push(Row {
            what,
            unit: "ms",
            ours: beside,
            floor_is: "idle p99 and 2 ticks per spinner on a core",
            floor: idle + 2.0 * TICK * per_core as f64,
            target: Target::AtMost(1.0),
        });
    }
    Ok(rows)
}
