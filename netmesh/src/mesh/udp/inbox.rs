use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use carob_net::{Account, Datagram, UDP_RECEIVE_BUFFER};
use parking_lot::Mutex;

use super::heard::{Heard, WayBack};

/// What a datagram costs beside its bytes.
const EACH: usize = 256;

/// Datagrams that have arrived at a socket.
pub(crate) struct Inbox {
    /// What waits at all sockets of the Pod.
    all: Arc<Account>,
    state: Mutex<State>,
}

struct State {
    waiting: VecDeque<(Datagram, Option<Arc<Account>>)>,
    /// What of it may wait here.
    most: usize,
    cost: usize,
    heard: Heard,
    /// Pods of other nodes that the socket has sent to: what comes from there is an answer.
    asked: Heard,
    receiving: Option<Waker>,
}

fn cost(datagram: &Datagram) -> usize {
    datagram.bytes.len() + EACH
}

impl Inbox {
    /// One whose datagrams count among what waits in the Pod.
    pub(crate) fn new(all: Arc<Account>) -> Inbox {
        let (waiting, heard, asked) = (VecDeque::new(), Heard::default(), Heard::default());
        let state = State { waiting, most: UDP_RECEIVE_BUFFER, cost: 0, heard, asked, receiving: None };
        Inbox { all, state: Mutex::new(state) }
    }

    /// Changes what may wait here; what waits already stays.
    pub(crate) fn set_most(&self, bytes: usize) {
        self.state.lock().most = bytes;
    }

    /// Puts a datagram in, to be counted for `account` when it is taken; it is lost if too much waits already.
    pub(crate) fn put(&self, datagram: Datagram, account: Option<Arc<Account>>) {
        self.put_from(datagram, account, WayBack::Inside);
    }

    /// The same, from a sender that is answered in this way.
    pub(crate) fn put_from(&self, datagram: Datagram, account: Option<Arc<Account>>, back: WayBack) {
        let receiving = {
            let mut state = self.state.lock();
            if state.cost + cost(&datagram) > state.most || self.all.is_spent() {
                return;
            }
            state.cost += cost(&datagram);
            self.all.hold(cost(&datagram));
            state.heard.note(datagram.from, back, Instant::now());
            state.waiting.push_back((datagram, account));
            state.receiving.take()
        };
        if let Some(waker) = receiving {
            waker.wake();
        }
    }

    /// The socket sends to a Pod of another node.
    pub(crate) fn note_asked(&self, to: SocketAddr) {
        self.state.lock().asked.note(to, WayBack::Inside, Instant::now());
    }

    /// Whether a datagram from there answers one that the socket has sent.
    pub(crate) fn has_asked(&self, from: SocketAddr) -> bool {
        self.state.lock().asked.way_back(from, Instant::now()).is_some()
    }

    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Datagram> {
        let mut state = self.state.lock();
        let Some((datagram, account)) = state.waiting.pop_front() else {
            state.receiving = Some(cx.waker().clone());
            return Poll::Pending;
        };
        state.cost -= cost(&datagram);
        self.all.release(cost(&datagram));
        if let Some(account) = account {
            account.count_received(datagram.bytes.len());
        }
        Poll::Ready(datagram)
    }

    /// How a datagram that has come lately from there is answered.
    pub(crate) fn way_back(&self, from: SocketAddr) -> Option<WayBack> {
        self.state.lock().heard.way_back(from, Instant::now())
    }

    /// Has whoever waits look again.
    pub(crate) fn nudge(&self) {
        let receiving = self.state.lock().receiving.take();
        if let Some(waker) = receiving {
            waker.wake();
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.all.release(self.state.lock().cost);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn datagram() -> Datagram {
        Datagram { from: "10.0.0.1:9".parse().unwrap(), bytes: Bytes::from(vec![0; 1024]) }
    }

    fn take(inbox: &Inbox) -> bool {
        inbox.poll_take(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn what_nobody_reads_is_lost_past_the_most() {
        let all = Arc::new(Account::new(usize::MAX));
        let inbox = Inbox::new(all.clone());
        (0..10_000).for_each(|_| inbox.put(datagram(), None));
        assert_eq!(all.held() / (1024 + EACH), UDP_RECEIVE_BUFFER / (1024 + EACH));
        inbox.set_most(10 * (1024 + EACH));
        let waiting = std::iter::repeat_with(|| take(&inbox)).take_while(|taken| *taken).count();
        assert_eq!(waiting, UDP_RECEIVE_BUFFER / (1024 + EACH), "what waits stays");
        (0..100).for_each(|_| inbox.put(datagram(), None));
        assert_eq!(all.held(), 10 * (1024 + EACH));
        drop(inbox);
        assert_eq!(all.held(), 0);
    }

    #[test]
    fn all_sockets_of_a_pod_share_what_may_wait() {
        let all = Arc::new(Account::new(100 * (1024 + EACH)));
        let inboxes: Vec<Inbox> = (0..10).map(|_| Inbox::new(all.clone())).collect();
        for inbox in &inboxes {
            (0..50).for_each(|_| inbox.put(datagram(), None));
        }
        assert_eq!(all.held(), 100 * (1024 + EACH));
        assert!(take(&inboxes[0]) && !take(&inboxes[9]));
        inboxes[9].put(datagram(), None);
        assert!(take(&inboxes[9]), "there is room again");
    }
}
