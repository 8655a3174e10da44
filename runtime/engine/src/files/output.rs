use std::io;
use std::mem;

use bytes::Bytes;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn_blocking};

use super::write::{Position, Writable};

/// Most bytes that a guest hands over at once.
const CHUNK: usize = 64 * 1024;

/// `wasi:io/output-stream` of a file.
pub(super) struct FileOutput {
    file: Writable,
    position: Position,
    state: State,
}

/// `Ready` -> `Writing` -> `Ready`, or `Failed` until the guest was told, then `Closed`.
enum State {
    Ready,
    Writing { task: AbortOnDropJoinHandle<io::Result<()>>, bytes: usize },
    Failed(io::Error),
    Closed,
}

impl FileOutput {
    pub(super) fn new(file: Writable, position: Position) -> FileOutput {
        FileOutput { file, position, state: State::Ready }
    }

    /// Tells a failure once; after that the stream is closed.
    fn check(&mut self) -> StreamResult<()> {
        match mem::replace(&mut self.state, State::Closed) {
            State::Closed => Err(StreamError::Closed),
            State::Failed(error) => Err(StreamError::LastOperationFailed(error.into())),
            state => {
                self.state = state;
                Ok(())
            }
        }
    }
}

#[async_trait::async_trait]
impl OutputStream for FileOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.check()?;
        if matches!(self.state, State::Writing { .. }) {
            return Err(StreamError::trap("a write without a check-write that allows it"));
        }
        let (file, position, count) = (self.file.clone(), self.position, bytes.len());
        let task = spawn_blocking(move || file.write_all(&bytes, position));
        self.state = State::Writing { task, bytes: count };
        Ok(())
    }

    /// Nothing is kept back, so that there is nothing to ask for.
    fn flush(&mut self) -> StreamResult<()> {
        self.check()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.check()?;
        Ok(if matches!(self.state, State::Writing { .. }) { 0 } else { CHUNK })
    }

    /// Waits for the write under way, so that a guest never piles up writes by dropping their streams.
    async fn cancel(&mut self) {
        if let State::Writing { task, .. } = mem::replace(&mut self.state, State::Closed) {
            task.cancel().await;
        }
    }
}

#[async_trait::async_trait]
impl Pollable for FileOutput {
    async fn ready(&mut self) {
        let State::Writing { task, bytes } = &mut self.state else { return };
        let written = task.await;
        let bytes = *bytes;
        self.state = match written {
            Ok(()) => {
                self.position.advance(bytes);
                State::Ready
            }
            Err(error) => State::Failed(error),
        };
    }
}
