use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;

/// For how long after a datagram another is an answer to it: what Linux keeps of a flow of UDP that goes both ways.
const ANSWERED_WITHIN: Duration = Duration::from_secs(120);
/// Senders that are remembered; past it those that are silent are forgotten, or all of them.
const MOST: usize = 4096;

/// How a sender is answered.
#[derive(Clone)]
pub(crate) enum WayBack {
    /// It is a Pod.
    Inside,
    /// It came in by a port of the host, and is answered from there.
    Host(Arc<UdpSocket>),
}

/// From where a socket has got datagrams lately, or where it has sent some.
#[derive(Default)]
pub(crate) struct Heard(HashMap<SocketAddr, (Instant, WayBack)>);

impl Heard {
    pub(crate) fn note(&mut self, from: SocketAddr, back: WayBack, now: Instant) {
        if self.0.len() >= MOST && !self.0.contains_key(&from) {
            self.0.retain(|_, (since, _)| now.duration_since(*since) < ANSWERED_WITHIN);
            if self.0.len() >= MOST {
                self.0.clear();
            }
        }
        self.0.insert(from, (now, back));
    }

    pub(crate) fn way_back(&self, from: SocketAddr, now: Instant) -> Option<WayBack> {
        let (since, back) = self.0.get(&from)?;
        (now.duration_since(*since) < ANSWERED_WITHIN).then(|| back.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asked_may_be_answered_for_a_while() {
        let (mut heard, now, from) = (Heard::default(), Instant::now(), "10.0.0.1:9".parse().unwrap());
        assert!(heard.way_back(from, now).is_none());
        heard.note(from, WayBack::Inside, now);
        assert!(heard.way_back(from, now).is_some());
        assert!(heard.way_back("10.0.0.1:10".parse().unwrap(), now).is_none());
        assert!(heard.way_back(from, now + ANSWERED_WITHIN).is_none());
    }

    #[test]
    fn no_more_than_so_many_are_remembered() {
        let (mut heard, now) = (Heard::default(), Instant::now());
        for n in 0..=MOST as u32 {
            heard.note((std::net::Ipv4Addr::from_bits(n), 9).into(), WayBack::Inside, now);
        }
        assert!(heard.0.len() <= MOST);
    }
}
