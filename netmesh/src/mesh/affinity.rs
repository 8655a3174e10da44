//! Session affinity by the client's address.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Clients that are remembered for one Service port; past it, those that have been away are forgotten, or all of them.
const MOST: usize = 16 * 1024;

/// Where each client went last.
#[derive(Debug)]
pub(crate) struct Affinity {
    timeout: Duration,
    last: Mutex<HashMap<IpAddr, (SocketAddr, Instant)>>,
}

impl Affinity {
    pub(crate) fn new(timeout: Duration) -> Affinity {
        Affinity { timeout, last: Mutex::default() }
    }

    pub(crate) fn kept(&self, client: IpAddr) -> Option<SocketAddr> {
        let last = self.last.lock();
        let (endpoint, since) = last.get(&client)?;
        (since.elapsed() < self.timeout).then_some(*endpoint)
    }

    pub(crate) fn keep(&self, client: IpAddr, endpoint: SocketAddr) {
        let mut last = self.last.lock();
        if last.len() >= MOST && !last.contains_key(&client) {
            last.retain(|_, (_, since)| since.elapsed() < self.timeout);
            if last.len() >= MOST {
                last.clear();
            }
        }
        last.insert(client, (endpoint, Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_kept_until_it_has_been_away_for_too_long() {
        let (client, endpoint) = ("10.0.0.1".parse().unwrap(), "10.0.0.2:80".parse().unwrap());
        let hour = Affinity::new(Duration::from_secs(3600));
        assert_eq!(hour.kept(client), None);
        hour.keep(client, endpoint);
        assert_eq!(hour.kept(client), Some(endpoint));
        let none = Affinity::new(Duration::ZERO);
        none.keep(client, endpoint);
        assert_eq!(none.kept(client), None);
    }

    #[test]
    fn no_more_than_so_many_clients_are_remembered() {
        let affinity = Affinity::new(Duration::from_secs(3600));
        for n in 0..=MOST as u32 {
            affinity.keep(std::net::Ipv4Addr::from_bits(n).into(), "10.0.0.2:80".parse().unwrap());
        }
        assert!(affinity.last.lock().len() <= MOST);
    }
}
