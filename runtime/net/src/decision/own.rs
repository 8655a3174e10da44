use std::collections::HashMap;
use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// For how long the kernel's answer is believed: every datagram asks, and addresses come and go slowly.
const BELIEVED: Duration = Duration::from_secs(1);
/// Answers that are kept; past it all are forgotten.
const MOST: usize = 1024;

/// The addresses of this machine, as the kernel knows them.
#[derive(Default)]
pub struct OwnAddresses {
    known: Mutex<HashMap<IpAddr, (bool, Instant)>>,
}

impl OwnAddresses {
    /// Whether the address was this machine's a second ago at most.
    pub fn contains(&self, ip: IpAddr, now: Instant) -> bool {
        let mut known = self.known.lock();
        if let Some((own, since)) = known.get(&ip)
            && now.duration_since(*since) < BELIEVED
        {
            return *own;
        }
        if known.len() >= MOST {
            known.clear();
        }
        let own = is_own(ip);
        known.insert(ip, (own, now));
        own
    }
}

/// Asks the kernel. Only an own address can be bound to, and only from an own address does a packet to it come from itself.
fn is_own(ip: IpAddr) -> bool {
    let from = UdpSocket::bind((ip, 0)).and_then(|socket| {
        socket.connect((ip, 9))?;
        socket.local_addr()
    });
    from.is_ok_and(|from| from.ip() == ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_own_and_a_documentation_address_is_not() {
        let own = OwnAddresses::default();
        let now = Instant::now();
        for _ in 0..2 {
            assert!(own.contains("127.0.0.1".parse().unwrap(), now));
            assert!(!own.contains("192.0.2.1".parse().unwrap(), now));
        }
    }

    #[test]
    fn no_more_than_so_many_answers_are_kept() {
        let (own, now) = (OwnAddresses::default(), Instant::now());
        for n in 0..2 * MOST as u32 {
            own.known.lock().insert(std::net::Ipv4Addr::from_bits(n).into(), (false, now));
        }
        own.contains("192.0.2.1".parse().unwrap(), now);
        assert_eq!(own.known.lock().len(), 1);
    }
}
