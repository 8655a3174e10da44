//! How endpoints have done lately: how soon they answered, and whether they failed.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use carob_net::NetworkError;
use parking_lot::Mutex;

/// An endpoint that fails is not chosen for so long, then tried again; each failure in a row doubles it.
const FIRST_EJECTION: Duration = Duration::from_secs(1);
const LONGEST_EJECTION: Duration = Duration::from_secs(60);
/// Differences of time below this say nothing.
const SOON: Duration = Duration::from_millis(1);
/// In this time the memory of a slow answer fades by half, so that whoever was slow is tried again.
const HALF_LIFE: Duration = Duration::from_secs(2);
/// Endpoints that one shard remembers; past it those of which nothing bad is known any more are forgotten, or all.
const MOST: usize = 1024;
const SHARDS: usize = 16;

/// What a flow to an endpoint is expected to cost, beside others.
pub(crate) type Cost = u128;

/// How endpoints have done lately. One of which nothing bad is known takes no room.
#[derive(Default)]
pub(crate) struct Standings {
    shards: [Mutex<HashMap<SocketAddr, Standing>>; SHARDS],
    hasher: std::hash::RandomState,
}

#[derive(Debug)]
struct Standing {
    failures: u32,
    ejected_until: Instant,
    latency: Duration,
    since: Instant,
}

impl Standing {
    fn new(now: Instant) -> Standing {
        Standing { failures: 0, ejected_until: now, latency: Duration::ZERO, since: now }
    }

    /// What is left of the slowest answer.
    fn latency(&self, now: Instant) -> Duration {
        let halves = now.duration_since(self.since).as_secs_f64() / HALF_LIFE.as_secs_f64();
        self.latency.mul_f64(0.5_f64.powf(halves))
    }

    fn is_good(&self, now: Instant) -> bool {
        self.ejected_until <= now && self.latency(now) <= SOON
    }
}

impl Standings {
    /// The endpoint took a flow, or answered a request, after so long.
    pub(crate) fn answered(&self, endpoint: SocketAddr, latency: Duration) {
        self.answered_at(endpoint, latency, Instant::now());
    }

    /// Peaks count at once and fade: waiting for a mean to rise would send more to whoever has just become slow.
    fn answered_at(&self, endpoint: SocketAddr, latency: Duration, now: Instant) {
        let mut shard = self.shard(endpoint).lock();
        if latency <= SOON {
            // Nothing to remember of most.
            if let Some(standing) = shard.get_mut(&endpoint) {
                standing.failures = 0;
                standing.ejected_until = now;
                if standing.is_good(now) {
                    shard.remove(&endpoint);
                }
            }
            return;
        }
        let standing = entry(&mut shard, endpoint, now);
        standing.failures = 0;
        standing.ejected_until = now;
        standing.latency = standing.latency(now).max(latency);
        standing.since = now;
    }

    /// The endpoint could not be reached. That a flow was forbidden, or the client has no room, is not the endpoint's fault.
    pub(crate) fn failed(&self, endpoint: SocketAddr, error: &NetworkError) {
        if matches!(error, NetworkError::AccessDenied(_) | NetworkError::LimitReached) {
            return;
        }
        self.failed_at(endpoint, Instant::now());
    }

    fn failed_at(&self, endpoint: SocketAddr, now: Instant) {
        let mut shard = self.shard(endpoint).lock();
        let standing = entry(&mut shard, endpoint, now);
        let ejection = FIRST_EJECTION.saturating_mul(1 << standing.failures.min(16)).min(LONGEST_EJECTION);
        standing.failures += 1;
        standing.ejected_until = now + ejection;
        tracing::debug!(%endpoint, failures = standing.failures, ?ejection, "an endpoint of a Service failed");
    }

    /// Whether others are to be chosen before it.
    pub(crate) fn is_ejected(&self, endpoint: SocketAddr, now: Instant) -> bool {
        self.shard(endpoint).lock().get(&endpoint).is_some_and(|standing| standing.ejected_until > now)
    }

    /// The cost of one more flow at an endpoint that has `load`.
    pub(crate) fn cost(&self, endpoint: SocketAddr, load: usize, now: Instant) -> Cost {
        let shard = self.shard(endpoint).lock();
        let latency = match shard.get(&endpoint) {
            Some(standing) if standing.ejected_until > now => return Cost::MAX,
            Some(standing) => standing.latency(now).max(SOON),
            None => SOON,
        };
        latency.as_micros() * (load as u128 + 1)
    }

    fn shard(&self, endpoint: SocketAddr) -> &Mutex<HashMap<SocketAddr, Standing>> {
        &self.shards[self.hasher.hash_one(endpoint) as usize % SHARDS]
    }
}

fn entry(shard: &mut HashMap<SocketAddr, Standing>, endpoint: SocketAddr, now: Instant) -> &mut Standing {
    if shard.len() >= MOST && !shard.contains_key(&endpoint) {
        shard.retain(|_, standing| !standing.is_good(now));
        if shard.len() >= MOST {
            shard.clear();
        }
    }
    shard.entry(endpoint).or_insert_with(|| Standing::new(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        ([10, 244, 0, 2], port).into()
    }

    #[test]
    fn who_fails_is_left_out_for_longer_each_time_and_welcome_after_one_success() {
        let (standings, one, mut now) = (Standings::default(), address(1), Instant::now());
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            standings.failed_at(one, now);
            let end = now + Duration::from_secs(seconds);
            assert!(standings.is_ejected(one, end - Duration::from_millis(1)) && !standings.is_ejected(one, end));
            assert!(!standings.is_ejected(address(2), now));
            now = end;
        }
        standings.answered_at(one, Duration::ZERO, now);
        standings.failed_at(one, now);
        assert!(!standings.is_ejected(one, now + FIRST_EJECTION), "it begins anew");
    }

    #[test]
    fn what_is_denied_is_not_the_endpoints_fault() {
        let standings = Standings::default();
        standings.failed(address(1), &NetworkError::AccessDenied("no".into()));
        standings.failed(address(1), &NetworkError::LimitReached);
        assert!(!standings.is_ejected(address(1), Instant::now()));
        standings.failed(address(1), &NetworkError::ConnectionRefused);
        assert!(standings.is_ejected(address(1), Instant::now()));
    }

    #[test]
    fn a_slow_endpoint_costs_as_much_as_a_busy_one_until_it_is_forgotten() {
        let (standings, now) = (Standings::default(), Instant::now());
        standings.answered_at(address(1), Duration::from_millis(10), now);
        assert_eq!(standings.cost(address(1), 0, now), standings.cost(address(2), 9, now));
        standings.answered_at(address(1), Duration::from_millis(2), now);
        assert_eq!(standings.cost(address(1), 0, now), standings.cost(address(2), 9, now), "a peak stays for a while");
        let later = now + 20 * HALF_LIFE;
        assert_eq!(standings.cost(address(1), 3, later), standings.cost(address(2), 3, later));
    }

    #[test]
    fn nothing_is_kept_of_those_that_do_well_and_not_too_much_of_others() {
        let (standings, now) = (Standings::default(), Instant::now());
        let kept = || standings.shards.iter().map(|shard| shard.lock().len()).collect::<Vec<_>>();
        standings.failed_at(address(1), now);
        standings.answered_at(address(1), SOON, now);
        standings.answered_at(address(2), SOON, now);
        assert_eq!(kept().iter().sum::<usize>(), 0);
        (0..=u16::MAX).for_each(|port| standings.failed_at(address(port), now));
        assert!(kept().iter().all(|kept| *kept <= MOST), "{:?}", kept());
    }
}
