//! A process of the cluster: it takes its data directory, starts its parts, and runs until it is told to end.

use std::time::Duration;

use anyhow::Context;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::args;
use crate::data_dir::DataDir;
use crate::up::parts::Parts;

/// How long the parts have, together, to end after they were asked to.
const DRAIN: Duration = Duration::from_secs(20);

/// Runs what `start` starts until SIGTERM or Ctrl-C, or until a part of it fails. What `start` answers is said when it is
/// there.
pub(crate) fn run(
    data: &args::DataDir,
    start: impl AsyncFnOnce(&DataDir, &mut Parts) -> anyhow::Result<String>,
) -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let data = DataDir::locate(data)?;
    let _lock = data.lock()?;
    println!("data directory  {}", data.root().display());
    raise_file_limit();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("carob")
        .build()
        .context("cannot start the tokio runtime")?
        .block_on(until_told_to_end(&data, start))
}

async fn until_told_to_end(
    data: &DataDir,
    start: impl AsyncFnOnce(&DataDir, &mut Parts) -> anyhow::Result<String>,
) -> anyhow::Result<()> {
    // Streams that live on: a signal that comes between two waits for one is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut parts = Parts::default();
    let started = tokio::select! {
        started = start(data, &mut parts) => started.map(Some),
        _ = interrupt.recv() => Ok(None),
        _ = terminate.recv() => Ok(None),
    };
    let ended = match started {
        Ok(Some(ready)) => {
            println!("{ready}");
            tokio::select! {
                failure = parts.failure() => Err(failure),
                _ = interrupt.recv() => Ok(()),
                _ = terminate.recv() => Ok(()),
            }
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    if !parts.is_empty() {
        println!("stopping");
    }
    parts.stop(DRAIN).await;
    ended
}

/// Every container that prints keeps its log file open, and every connection a socket: as many as the system allows.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}
