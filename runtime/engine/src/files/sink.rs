use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wasmtime::StoreContextMut;
use wasmtime::component::{Source, StreamConsumer, StreamResult};
use wasmtime_wasi::p3::bindings::filesystem::types::ErrorCode;

use super::write::{Position, Writable};

/// Most bytes that are written at once.
const CHUNK: usize = 64 * 1024;

/// Takes a 0.3 stream of bytes into a file.
pub(super) struct Sink {
    file: Writable,
    position: Position,
    result: Option<oneshot::Sender<Result<(), ErrorCode>>>,
    /// Kept between two writes.
    buffer: Vec<u8>,
    task: Option<JoinHandle<(Vec<u8>, io::Result<usize>)>>,
}

impl Sink {
    pub(super) fn new(file: Writable, position: Position, result: oneshot::Sender<Result<(), ErrorCode>>) -> Sink {
        Sink { file, position, result: Some(result), buffer: Vec::new(), task: None }
    }

    fn close(&mut self, how: Result<(), ErrorCode>) {
        if let Some(result) = self.result.take() {
            // Nobody may ask how it ended.
            let _ = result.send(how);
        }
    }

    fn start(&mut self, bytes: &[u8]) -> JoinHandle<(Vec<u8>, io::Result<usize>)> {
        let mut buffer = mem::take(&mut self.buffer);
        buffer.clear();
        buffer.extend_from_slice(&bytes[..bytes.len().min(CHUNK)]);
        let (file, position) = (self.file.clone(), self.position);
        tokio::task::spawn_blocking(move || {
            let written = file.write(&buffer, position);
            (buffer, written)
        })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.close(Ok(()));
    }
}

impl<D> StreamConsumer<D> for Sink {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut source = source.as_direct(store);
        let mut task = match self.task.take() {
            Some(task) => task,
            None => self.start(source.remaining()),
        };
        let polled = Pin::new(&mut task).poll(cx);
        if polled.is_pending() {
            if finish {
                // Only one that has not begun is taken back; a write under way is waited for.
                task.abort();
            }
            self.task = Some(task);
        }
        match ready!(polled) {
            Ok((buffer, Ok(written))) => {
                source.mark_read(written);
                self.buffer = buffer;
                self.position.advance(written);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Ok((_, Err(error))) => {
                self.close(Err(error.into()));
                Poll::Ready(Ok(StreamResult::Dropped))
            }
            Err(error) if error.is_cancelled() => Poll::Ready(Ok(StreamResult::Cancelled)),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}
