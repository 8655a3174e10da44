use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// For how long after a datagram another is an answer to it: what Linux keeps of a flow of UDP that goes both ways.
const ANSWERED_WITHIN: Duration = Duration::from_secs(120);
/// Senders that are remembered; past it those that are silent are forgotten, or all of them.
const MOST: usize = 4096;

/// From where a socket has got datagrams lately.
#[derive(Default)]
pub(crate) struct Heard(HashMap<SocketAddr, Instant>);

impl Heard {
    pub(crate) fn note(&mut self, from: SocketAddr, now: Instant) {
        if self.0.len() >= MOST && !self.0.contains_key(&from) {
            self.0.retain(|_, since| now.duration_since(*since) < ANSWERED_WITHIN);
            if self.0.len() >= MOST {
                self.0.clear();
            }
        }
        self.0.insert(from, now);
    }

    pub(crate) fn lately(&self, from: SocketAddr, now: Instant) -> bool {
        self.0.get(&from).is_some_and(|since| now.duration_since(*since) < ANSWERED_WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asked_may_be_answered_for_a_while() {
        let (mut heard, now, from) = (Heard::default(), Instant::now(), "10.0.0.1:9".parse().unwrap());
        assert!(!heard.lately(from, now));
        heard.note(from, now);
        assert!(heard.lately(from, now) && !heard.lately("10.0.0.1:10".parse().unwrap(), now));
        assert!(!heard.lately(from, now + ANSWERED_WITHIN));
    }

    #[test]
    fn no_more_than_so_many_are_remembered() {
        let (mut heard, now) = (Heard::default(), Instant::now());
        for n in 0..=MOST as u32 {
            heard.note((std::net::Ipv4Addr::from_bits(n), 9).into(), now);
        }
        assert!(heard.0.len() <= MOST);
    }
}
