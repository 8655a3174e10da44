use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use carob_net::{Account, Datagram};
use parking_lot::Mutex;

/// What waits to be received at one socket, as much as Linux lets wait by default.
const MOST_BYTES: usize = 208 * 1024;
/// What a datagram costs beside its bytes.
const EACH: usize = 256;

/// Datagrams that have arrived at a socket.
#[derive(Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(Datagram, Option<Arc<Account>>)>,
    cost: usize,
    receiving: Option<Waker>,
}

fn cost(datagram: &Datagram) -> usize {
    datagram.bytes.len() + EACH
}

impl Inbox {
    /// Puts a datagram in, to be counted for `account` when it is taken; it is lost if too much waits already.
    pub(crate) fn put(&self, datagram: Datagram, account: Option<Arc<Account>>) {
        let receiving = {
            let mut state = self.state.lock();
            if state.cost + cost(&datagram) > MOST_BYTES {
                return;
            }
            state.cost += cost(&datagram);
            state.waiting.push_back((datagram, account));
            state.receiving.take()
        };
        if let Some(waker) = receiving {
            waker.wake();
        }
    }

    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Datagram> {
        let mut state = self.state.lock();
        let Some((datagram, account)) = state.waiting.pop_front() else {
            state.receiving = Some(cx.waker().clone());
            return Poll::Pending;
        };
        state.cost -= cost(&datagram);
        if let Some(account) = account {
            account.count_received(datagram.bytes.len());
        }
        Poll::Ready(datagram)
    }

    /// Has whoever waits look again.
    pub(crate) fn nudge(&self) {
        let receiving = self.state.lock().receiving.take();
        if let Some(waker) = receiving {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn what_nobody_reads_is_lost_past_the_most() {
        let inbox = Inbox::default();
        let datagram = Datagram { from: "10.0.0.1:9".parse().unwrap(), bytes: Bytes::from(vec![0; 1024]) };
        (0..10_000).for_each(|_| inbox.put(datagram.clone(), None));
        let mut waiting = 0;
        while inbox.poll_take(&mut Context::from_waker(Waker::noop())).is_ready() {
            waiting += 1;
        }
        assert_eq!(waiting, MOST_BYTES / (1024 + EACH));
        inbox.put(datagram, None);
        assert!(inbox.poll_take(&mut Context::from_waker(Waker::noop())).is_ready(), "there is room again");
    }
}
