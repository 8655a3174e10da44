//! How exactly the engine keeps what containers may use.
//!
//! Accuracy is the CPU time that was metered beside what it should be: the limit times the time that passed, or the share
//! that the weights say. Neighbours' latency beside spinners is a bench of its own (`neighbours`). A guest that wants more
//! than its limit of sockets, programs or storage has to get all of it and no more.

mod execs;
mod guest;
mod heard;
mod sockets;
mod storage;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use carob_engine::{Container, Limits};
use parking_lot::Mutex;

use self::guest::Spinners;
use crate::http::{guest as samples, ours};
use crate::table::{Row, Target};

/// What comes before is not counted: the burst, and the start of the guests.
const WARM_UP: Duration = Duration::from_secs(1);
const TIME: Duration = Duration::from_secs(4);
const MIB: u64 = 1 << 20;
/// Far more than a guest takes to reach a limit; no phase lasts longer.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn run() -> Result<Vec<Row>> {
    let mut rows = throttling().await?;
    rows.push(shares().await?);
    rows.push(kill().await?);
    rows.extend(storage::run().await?);
    rows.extend(sockets::run().await?);
    rows.extend(execs::run().await?);
    Ok(rows)
}

async fn throttling() -> Result<Vec<Row>> {
    let guests = samples::engine()?;
    let limits = Limits { cpu_millis: Some(250), ..Limits::default() };
    let mut rows = Vec::new();
    for (instances, what) in [(1, "CPU of a 250m spinner"), (16, "CPU of 16 spinning instances of a 250m container")] {
        let spinners = Spinners::start(&guests, instances, limits).await?;
        tokio::time::sleep(WARM_UP).await;
        let (began, before) = (Instant::now(), spinners.container.usage().cpu);
        tokio::time::sleep(TIME).await;
        let used = spinners.container.usage().cpu - before;
        rows.push(Row {
            what,
            unit: "ms per second",
            ours: millis(used) / began.elapsed().as_secs_f64(),
            floor_is: "a quarter of a core",
            floor: 250.0,
            target: Target::Within(0.05),
        });
    }
    Ok(rows)
}

async fn shares() -> Result<Row> {
    let guests = samples::engine()?;
    let threads = std::thread::available_parallelism()?.get();
    let weight = |cpu_weight| Limits { cpu_weight, ..Limits::default() };
    let light = Spinners::start(&guests, 2 * threads, weight(100)).await?;
    let heavy = Spinners::start(&guests, 2 * threads, weight(300)).await?;
    tokio::time::sleep(WARM_UP).await;
    let before = (light.container.usage().cpu, heavy.container.usage().cpu);
    tokio::time::sleep(TIME).await;
    let used = (light.container.usage().cpu - before.0, heavy.container.usage().cpu - before.1);
    Ok(Row {
        what: "share of a container that requests 3 times as much, of a full node",
        unit: "% of all guests' CPU",
        ours: 100.0 * millis(used.1) / (millis(used.0) + millis(used.1)),
        floor_is: "three quarters",
        floor: 75.0,
        target: Target::Within(0.05),
    })
}

/// From the last word of a guest that eats memory, within its limit, to its end as OOMKilled.
async fn kill() -> Result<Row> {
    let guests = samples::engine()?;
    let misbehave = guests.program("misbehave").await?;
    let mut took = Vec::new();
    for _ in 0..20 {
        let spoke = Arc::new(LastWord(Mutex::new(Instant::now())));
        let limits = Limits { memory: Some(52 * MIB), ..Limits::default() };
        let eater: Container =
            ours::printing(&guests.engine, &misbehave, &["misbehave", "eat-memory"], limits, spoke.clone())?;
        let exit = eater.exited().await;
        ensure!(exit.code == 137, "it ended otherwise: {exit:?}");
        took.push(spoke.0.lock().elapsed());
    }
    took.sort_unstable();
    Ok(Row {
        what: "over the memory limit to OOMKilled, median, with 4 MiB still to eat",
        unit: "ms",
        ours: millis(*took.get(took.len() / 2).context("there were runs")?),
        floor_is: "a tick",
        floor: 1.0,
        target: Target::None,
    })
}

/// When a guest printed last.
struct LastWord(Mutex<Instant>);

impl carob_engine::Output for LastWord {
    fn write(&self, _stream: carob_engine::Stream, _bytes: &[u8]) {
        *self.0.lock() = Instant::now();
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
