//! Making a load, and counting what it did.

use std::{
    future::Future,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// What one run of a load did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    latencies: Vec<Duration>,
    took: Duration,
}

impl Load {
    /// Nothing yet.
    pub(crate) const EMPTY: Load = Load { latencies: Vec::new(), took: Duration::ZERO };

    /// What a load of another kind than `closed_loop` did.
    pub(crate) fn new(latencies: Vec<Duration>, took: Duration) -> Load {
        Load { latencies, took }
    }

    pub(crate) fn count(&self) -> usize {
        self.latencies.len()
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// The latency, in milliseconds, that this part of the requests stayed below.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let place = ((sorted.len() as f64 * part) as usize).min(sorted.len().saturating_sub(1));
        sorted.get(place).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    }

    /// Counts another run as part of this one.
    pub(crate) fn add(&mut self, other: Load) {
        self.latencies.extend(other.latencies);
        self.took += other.took;
    }
}

/// Somebody who asks again and again.
pub(crate) trait Client: Send + 'static {
    /// Asks once, and waits for the answer. No two requests of a load have the same number.
    fn ask(&mut self, number: u64) -> impl Future<Output = Result<()>> + Send;
}

/// Lets each of `clients` ask again as soon as it is answered, for `time`.
pub(crate) async fn closed_loop<C: Client>(clients: Vec<C>, time: Duration) -> Result<Load> {
    let (number, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let mut running = JoinSet::new();
    for mut client in clients {
        let number = number.clone();
        running.spawn(async move {
            let mut latencies = Vec::new();
            while begun.elapsed() < time {
                let asked = Instant::now();
                client.ask(number.fetch_add(1, Ordering::Relaxed)).await?;
                latencies.push(asked.elapsed());
            }
            anyhow::Ok(latencies)
        });
    }
    let mut load = Load::default();
    while let Some(latencies) = running.join_next().await {
        load.latencies.extend(latencies??);
    }
    load.took = begun.elapsed();
    Ok(load)
}

/// A folder beside this executable: the system's folder for temporary files may be in memory, where syncing costs nothing.
pub(crate) fn folder_on_disk() -> Result<TempDir> {
    let executable: PathBuf = std::env::current_exe()?;
    let beside = executable.parent().context("an executable is in a folder")?;
    Ok(tempfile::tempdir_in(beside)?)
}
