//! Names outside of the cluster, by the host's own resolver.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use carob_net::NetworkError;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Questions at one time: each holds a thread of the node's while the system's resolver waits.
const MOST: usize = 32;
/// For one question, its wait for a place included.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the C libraries say of a name that does not exist or has no address, in contrast to a server that is silent. The
/// standard library keeps their words, not their numbers.
const NO_SUCH_NAME: [&str; 5] = [
    "Name or service not known",
    "No address associated with hostname",
    "Address family for hostname not supported",
    "Name does not resolve",
    "Name has no usable address",
];

/// The host's resolver. It never answers for the host itself: those names mean something else in a Pod.
pub(crate) struct Upstream {
    places: Semaphore,
}

impl Default for Upstream {
    fn default() -> Upstream {
        Upstream { places: Semaphore::new(MOST) }
    }
}

impl Upstream {
    pub(crate) async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, NetworkError> {
        // The dot keeps the host's search list out.
        let question = format!("{name}.");
        let asked = timeout(PATIENCE, async {
            let _place = self.places.acquire().await;
            tokio::net::lookup_host((question, 0)).await
        });
        match asked.await {
            Ok(Ok(addresses)) => best_first(addresses.map(|address| address.ip())),
            Ok(Err(error)) => Err(reason(&error)),
            Err(_) => Err(NetworkError::ResolverFailure),
        }
    }
}

fn reason(error: &io::Error) -> NetworkError {
    let words = error.to_string();
    match NO_SUCH_NAME.iter().any(|known| words.contains(known)) {
        true => NetworkError::NameUnresolvable,
        false => NetworkError::ResolverFailure,
    }
}

/// Addresses of the family that Pods have come first.
fn best_first(addresses: impl Iterator<Item = IpAddr>) -> Result<Vec<IpAddr>, NetworkError> {
    let mut addresses: Vec<IpAddr> = addresses.collect();
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses.dedup();
    if addresses.is_empty() { Err(NetworkError::NameUnresolvable) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_there_is_told_from_a_resolver_that_is_not() {
        for (words, expected) in [
            ("failed to lookup address information: Name or service not known", NetworkError::NameUnresolvable),
            (
                "failed to lookup address information: No address associated with hostname",
                NetworkError::NameUnresolvable,
            ),
            ("failed to lookup address information: Name does not resolve", NetworkError::NameUnresolvable),
            (
                "failed to lookup address information: Temporary failure in name resolution",
                NetworkError::ResolverFailure,
            ),
            ("failed to lookup address information: Try again", NetworkError::ResolverFailure),
            ("too many open files", NetworkError::ResolverFailure),
        ] {
            assert_eq!(reason(&io::Error::other(words)), expected, "{words}");
        }
    }

    #[test]
    fn addresses_of_ipv4_come_first() {
        let mixed = ["2001:db8::1", "192.0.2.2", "192.0.2.1"].map(|ip| ip.parse().unwrap());
        let sorted: Vec<String> = best_first(mixed.into_iter()).unwrap().iter().map(IpAddr::to_string).collect();
        assert_eq!(sorted, ["192.0.2.2", "192.0.2.1", "2001:db8::1"]);
        assert_eq!(best_first(std::iter::empty()), Err(NetworkError::NameUnresolvable));
    }
}
