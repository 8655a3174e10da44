//! A log as a stream of bytes.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use futures::Stream;
use tokio::sync::watch;

use super::reader::{LogOptions, LogReader};
use super::writer::LogHub;

/// What was asked for of the log at `path`, and, if it is to be followed, what is printed until the container ends.
///
/// Files are read on tokio's blocking threads, a piece at a time, no faster than the stream is polled.
pub(crate) async fn stream(
    hub: &LogHub,
    path: PathBuf,
    options: LogOptions,
) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>> {
    let growth = options.follow.then(|| hub.follow(&path)).flatten();
    let reader = blocking(move || LogReader::open(&path, &options)).await?;
    Ok(futures::stream::try_unfold((reader, growth), |(reader, growth)| next(reader, growth)))
}

type State = (LogReader, Option<watch::Receiver<()>>);

async fn next(mut reader: LogReader, mut growth: Option<watch::Receiver<()>>) -> io::Result<Option<(Bytes, State)>> {
    loop {
        // Looked at before reading: what is written after this moment wakes us again.
        let writing = growth.as_mut().is_some_and(|growth| {
            growth.mark_unchanged();
            growth.has_changed().is_ok()
        });
        let (back, read) = blocking(move || {
            let read = reader.read()?;
            Ok((reader, read))
        })
        .await?;
        reader = back;
        if !read.is_empty() {
            return Ok(Some((read.into(), (reader, growth))));
        }
        if !writing || reader.is_full() {
            return Ok(None);
        }
        if let Some(growth) = &mut growth {
            // An error is the writer's end: read once more, then stop.
            let _ = growth.changed().await;
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
