//! The floors under durable writes: what the disk can do when nothing but bytes is written.

use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
    path::Path,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::sync::{mpsc, oneshot};

/// How much of the file is written over again and again.
const ROOM: u64 = 4 << 20;

/// Writes `bytes` over a part of a file that is there already, and syncs, for `time`: the median, in milliseconds.
///
/// Nothing durable is cheaper: an append would also have the file system write down the file's new size.
pub(crate) fn synced_write(path: &Path, bytes: &[u8], time: Duration) -> Result<f64> {
    let mut file = File::create(path)?;
    file.write_all(&vec![0; ROOM as usize])?;
    file.sync_all()?;
    let (begun, mut latencies) = (Instant::now(), Vec::new());
    while begun.elapsed() < time {
        let place = (latencies.len() * bytes.len()) as u64 % ROOM;
        let asked = Instant::now();
        file.seek(SeekFrom::Start(place))?;
        file.write_all(bytes)?;
        file.sync_data()?;
        latencies.push(asked.elapsed());
    }
    latencies.sort_unstable();
    Ok(latencies[latencies.len() / 2].as_secs_f64() * 1e3)
}

type Waiting = (Vec<u8>, oneshot::Sender<()>);

/// Bare group commit: a thread appends whatever waits to a file, syncs once and answers all.
pub(crate) struct GroupCommit {
    queue: Option<mpsc::UnboundedSender<Waiting>>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl GroupCommit {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::create(path)?;
        let (queue, waiting) = mpsc::unbounded_channel();
        let thread = std::thread::spawn(move || write(file, waiting));
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    pub(crate) async fn append(&self, bytes: Vec<u8>) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        self.queue.as_ref().context("it is open")?.send((bytes, answer))?;
        Ok(answered.await?)
    }
}

impl Drop for GroupCommit {
    fn drop(&mut self) {
        self.queue.take();
        if let Some(thread) = self.thread.take() {
            // An error of the disk has failed the requests already.
            let _ = thread.join();
        }
    }
}

fn write(mut file: File, mut waiting: mpsc::UnboundedReceiver<Waiting>) -> std::io::Result<()> {
    let mut batch = Vec::new();
    while waiting.blocking_recv_many(&mut batch, usize::MAX) > 0 {
        let parts: Vec<&[u8]> = batch.iter().map(|(bytes, _)| bytes.as_slice()).collect();
        file.write_all(&parts.concat())?;
        file.sync_data()?;
        for (_, answer) in batch.drain(..) {
            // Whoever asked may have gone.
            let _ = answer.send(());
        }
    }
    Ok(())
}
