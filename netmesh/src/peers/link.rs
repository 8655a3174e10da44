//! How the one connection between this node and another is come by. Pure: events and the time go in, actions come out.
//!
//! Either node may dial. When both do at once, both connections come up on both nodes, and both must keep the same one: that
//! which was dialled by the node with the lesser name. One that comes later than [`TIE`] replaces the older: the other node
//! would not dial if it still had that. A connection that is given up is closed when the flows on it have ended.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::NodeName;

/// Connections dialled by both nodes within this time of each other were dialled at once.
pub(crate) const TIE: Duration = Duration::from_secs(5);

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Names a connection, within this process.
pub(crate) type Id = u64;

/// Who dialled a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialler {
    Me,
    Peer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A flow wants to go there.
    Wanted,
    /// The other node's mesh listens at another address now.
    Moved(SocketAddr),
    /// What was dialled is up.
    Dialled(Id),
    /// What was dialled did not come up.
    Failed,
    /// The other node has dialled.
    Arrived(Id),
    /// A connection has ended.
    Lost(Id),
    /// The time that [`Link::wakes_at`] told has come.
    Woken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Dial, and give up whatever is being dialled.
    Dial(SocketAddr),
    /// New flows go by this one.
    Adopt(Id),
    /// Close this one when the flows on it have ended.
    Retire(Id),
}

/// The state of the connection with one other node.
#[derive(Debug)]
pub(crate) struct Link {
    /// Whether this node's name is the lesser.
    is_lesser: bool,
    address: SocketAddr,
    current: Option<Current>,
    is_dialling: bool,
    /// Whether anybody has wanted it: from then on it is kept up.
    is_wanted: bool,
    failures: u32,
    next: Option<Instant>,
    /// Between 0 and 1: nodes that lost the same peer do not all dial it at the same moments.
    spread: f64,
}

#[derive(Debug, Clone, Copy)]
struct Current {
    id: Id,
    dialler: Dialler,
    since: Instant,
}

impl Link {
    /// A link of which nothing is up. `spread`, between 0 and 1, is this link's share of chance.
    pub(crate) fn new(me: &NodeName, peer: &NodeName, address: SocketAddr, spread: f64) -> Link {
        Link {
            is_lesser: me < peer,
            address,
            current: None,
            is_dialling: false,
            is_wanted: false,
            failures: 0,
            next: None,
            spread,
        }
    }

    pub(crate) fn on(&mut self, event: Event, now: Instant) -> Vec<Action> {
        match event {
            Event::Wanted => {
                self.is_wanted = true;
                self.dial_if_due(now)
            }
            Event::Woken => self.dial_if_due(now),
            Event::Moved(address) => self.moved(address),
            Event::Dialled(id) => {
                self.is_dialling = false;
                (self.failures, self.next) = (0, None);
                self.consider(Current { id, dialler: Dialler::Me, since: now })
            }
            Event::Failed => self.failed(now),
            Event::Arrived(id) => {
                self.is_wanted = true;
                self.consider(Current { id, dialler: Dialler::Peer, since: now })
            }
            Event::Lost(id) => self.lost(id, now),
        }
    }

    /// When to say [`Event::Woken`].
    pub(crate) fn wakes_at(&self) -> Option<Instant> {
        self.next.filter(|_| self.is_due_sometime())
    }

    fn is_due_sometime(&self) -> bool {
        self.is_wanted && !self.is_dialling && self.current.is_none()
    }

    fn dial_if_due(&mut self, now: Instant) -> Vec<Action> {
        if !self.is_due_sometime() || self.next.is_some_and(|next| now < next) {
            return Vec::new();
        }
        self.dial()
    }

    fn dial(&mut self) -> Vec<Action> {
        self.is_dialling = true;
        vec![Action::Dial(self.address)]
    }

    /// QUIC moves a connection that the other node dialled by itself; one that was dialled from here is made again, and the
    /// old one serves until the new one is up.
    fn moved(&mut self, address: SocketAddr) -> Vec<Action> {
        self.address = address;
        (self.failures, self.next) = (0, None);
        let is_to_be_dialled = match self.current {
            Some(current) => current.dialler == Dialler::Me,
            None => self.is_wanted,
        };
        if is_to_be_dialled || self.is_dialling { self.dial() } else { Vec::new() }
    }

    fn failed(&mut self, now: Instant) -> Vec<Action> {
        self.is_dialling = false;
        self.next = Some(now + pause(self.failures, self.spread));
        self.failures = self.failures.saturating_add(1);
        Vec::new()
    }

    fn lost(&mut self, id: Id, now: Instant) -> Vec<Action> {
        if self.current.is_none_or(|current| current.id != id) {
            return Vec::new();
        }
        self.current = None;
        // The lesser goes first, so that the two seldom meet half-way.
        if !self.is_lesser {
            self.next = Some(now + FIRST_PAUSE);
        }
        self.dial_if_due(now)
    }

    fn consider(&mut self, new: Current) -> Vec<Action> {
        match self.current {
            Some(old) if !self.replaces(new, old) => vec![Action::Retire(new.id)],
            Some(old) => {
                self.current = Some(new);
                vec![Action::Adopt(new.id), Action::Retire(old.id)]
            }
            None => {
                self.current = Some(new);
                vec![Action::Adopt(new.id)]
            }
        }
    }

    fn replaces(&self, new: Current, old: Current) -> bool {
        let is_tie = new.dialler != old.dialler && new.since.duration_since(old.since) < TIE;
        !is_tie || (new.dialler == Dialler::Me) == self.is_lesser
    }
}

/// Doubles from failure to failure, up to a limit; between half of that and all of it.
fn pause(failures: u32, spread: f64) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE);
    longest.mul_f64(0.5 + spread.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests;
