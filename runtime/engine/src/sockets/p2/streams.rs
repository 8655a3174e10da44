//! The halves of a connection as `wasi:io` streams. The socket shares them, since it can shut them down.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use parking_lot::Mutex;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use crate::sockets::error::Code;
use crate::sockets::glance;
use crate::sockets::halves::{Receiver, Sender};

/// The most that one call reads or writes.
const MOST: usize = 64 * 1024;

/// What arrives; `None` once it has ended or was shut down.
#[derive(Clone)]
pub(super) struct Input(Arc<Mutex<Option<Receiver>>>);

impl Input {
    pub(super) fn new(receiver: Receiver) -> Input {
        Input(Arc::new(Mutex::new(Some(receiver))))
    }

    pub(super) fn shut_down(&self) {
        *self.0.lock() = None;
    }
}

impl InputStream for Input {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut open = self.0.lock();
        let receiver = open.as_mut().ok_or(StreamError::Closed)?;
        if size == 0 {
            return Ok(Bytes::new());
        }
        match receiver.poll_read(&mut glance(), size.min(MOST)) {
            Poll::Pending => Ok(Bytes::new()),
            Poll::Ready(Ok(Some(bytes))) => Ok(bytes),
            Poll::Ready(Ok(None)) => {
                *open = None;
                Err(StreamError::Closed)
            }
            Poll::Ready(Err(code)) => {
                *open = None;
                Err(failed(code))
            }
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {
        poll_fn(|cx| match self.0.lock().as_mut() {
            Some(receiver) => receiver.poll_ready(cx),
            None => Poll::Ready(()),
        })
        .await;
    }
}

/// What is sent; `None` once it failed or was shut down.
#[derive(Clone)]
pub(super) struct Output(Arc<Mutex<Option<Sender>>>);

impl Output {
    pub(super) fn new(sender: Sender) -> Output {
        Output(Arc::new(Mutex::new(Some(sender))))
    }

    pub(super) fn shut_down(&self) {
        *self.0.lock() = None;
    }

    /// Does something with what is open, which a failure closes.
    fn with<T>(&self, work: impl FnOnce(&mut Sender) -> StreamResult<T>) -> StreamResult<T> {
        let mut open = self.0.lock();
        let done = work(open.as_mut().ok_or(StreamError::Closed)?);
        if matches!(done, Err(StreamError::LastOperationFailed(_))) {
            *open = None;
        }
        done
    }
}

impl OutputStream for Output {
    fn check_write(&mut self) -> StreamResult<usize> {
        self.with(|sender| match sender.poll_capacity(&mut glance()) {
            Poll::Pending => Ok(0),
            Poll::Ready(Ok(capacity)) => Ok(capacity.min(MOST)),
            Poll::Ready(Err(code)) => Err(failed(code)),
        })
    }

    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.with(|sender| {
            if bytes.len() > sender.permit() {
                return Err(StreamError::trap("a write that was not permitted by check-write"));
            }
            if !bytes.is_empty() {
                sender.send(bytes).map_err(failed)?;
            }
            flush(sender)
        })
    }

    /// Nothing is kept back here; what the network has not handed over yet is waited for by `check-write` and pollables.
    fn flush(&mut self) -> StreamResult<()> {
        self.with(flush)
    }
}

fn flush(sender: &mut Sender) -> StreamResult<()> {
    match sender.poll_flush(&mut glance()) {
        Poll::Pending | Poll::Ready(Ok(())) => Ok(()),
        Poll::Ready(Err(code)) => Err(failed(code)),
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    /// A failure is kept for the next call, by leaving it to the network to fail again.
    async fn ready(&mut self) {
        poll_fn(|cx| match self.0.lock().as_mut() {
            Some(sender) => sender.poll_capacity(cx).map(drop),
            None => Poll::Ready(()),
        })
        .await;
    }
}

fn failed(code: Code) -> StreamError {
    StreamError::LastOperationFailed(wasmtime::Error::new(code))
}
