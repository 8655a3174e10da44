//! Connections that wait to be accepted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use carob_net::{NetworkError, TcpConnection};
use parking_lot::Mutex;

use super::pod::Lease;

/// The queue of one listener.
pub(crate) struct Backlog {
    /// The listener's address, which its connections hold on to.
    pub(crate) lease: Arc<Lease>,
    state: Mutex<State>,
}

struct State {
    waiting: VecDeque<TcpConnection>,
    most: usize,
    closed: bool,
    accepting: Option<Waker>,
}

impl Backlog {
    pub(crate) fn new(lease: Arc<Lease>, most: usize) -> Backlog {
        let state = State { waiting: VecDeque::new(), most: most.max(1), closed: false, accepting: None };
        Backlog { lease, state: Mutex::new(state) }
    }

    pub(crate) fn set_most(&self, most: usize) {
        self.state.lock().most = most.max(1);
    }

    /// Puts a connection into the queue; one for which there is no room is dropped, and with it reset.
    pub(crate) fn offer(&self, connection: TcpConnection) -> Result<(), NetworkError> {
        let accepting = {
            let mut state = self.state.lock();
            if state.closed || state.waiting.len() >= state.most {
                return Err(NetworkError::ConnectionRefused);
            }
            state.waiting.push_back(connection);
            state.accepting.take()
        };
        if let Some(waker) = accepting {
            waker.wake();
        }
        Ok(())
    }

    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<TcpConnection> {
        let mut state = self.state.lock();
        match state.waiting.pop_front() {
            Some(connection) => Poll::Ready(connection),
            None => {
                state.accepting = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Refuses those that wait, and whoever comes.
    pub(crate) fn close(&self) {
        let waiting = {
            let mut state = self.state.lock();
            state.closed = true;
            std::mem::take(&mut state.waiting)
        };
        drop(waiting);
    }
}
