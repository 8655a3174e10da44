//! What a server notices of guests that never give the processor back.

use std::time::Duration;

use anyhow::Result;
use carob_engine::Container;

use super::serve::Server;
use super::{client, guest, ours};
use crate::table::{Row, Target};

const TIME: Duration = Duration::from_secs(5);
/// One tick of the engine's epoch clock, in milliseconds.
const TICK: f64 = 1.0;

pub(crate) async fn run() -> Result<Vec<Row>> {
    let guests = guest::engine()?;
    let neighbour = Neighbour::start(&guests).await?;
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
        rows.push(neighbour.beside(per_core, what).await?);
    }
    Ok(rows)
}

/// A server that is asked without a pause, one request at a time.
pub(crate) struct Neighbour {
    server: Server,
    /// Its p99 while nothing else runs, in milliseconds.
    idle: f64,
    _container: Container,
}

impl Neighbour {
    pub(crate) async fn start(guests: &guest::Guests) -> Result<Neighbour> {
        let container = ours::container(&guests.engine, &guests.program("hello-http").await?, &[])?;
        let server = ours::start(&container).await?;
        let idle = client::load(server.address, 1, TIME).await?.quantile(0.99);
        Ok(Neighbour { server, idle, _container: container })
    }

    /// What it notices of what runs now: so many containers for each core that always want to run.
    pub(crate) async fn beside(&self, per_core: usize, what: &'static str) -> Result<Row> {
        Ok(Row {
            what,
            unit: "ms",
            ours: client::load(self.server.address, 1, TIME).await?.quantile(0.99),
            floor_is: "idle p99 and 2 ticks per spinner on a core",
            floor: self.idle + 2.0 * TICK * per_core as f64,
            target: Target::AtMost(1.0),
        })
    }
}
