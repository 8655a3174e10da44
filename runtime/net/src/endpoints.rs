use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use parking_lot::RwLock;

use crate::HttpService;

/// Locks that lookups are spread over, so that requests on many processors do not share one.
const SHARDS: usize = 16;

/// Which in-process service answers at which Pod address. Cloning shares the registry.
#[derive(Clone, Default)]
pub struct HttpEndpoints {
    shards: Arc<[RwLock<Shard>; SHARDS]>,
}

type Shard = HashMap<SocketAddr, Arc<dyn HttpService>>;

impl HttpEndpoints {
    /// Makes `service` answer at `address` until the registration is dropped.
    ///
    /// Returns `None` if the address is taken.
    pub fn register(&self, address: SocketAddr, service: Arc<dyn HttpService>) -> Option<Registration> {
        match self.shard(address).write().entry(address) {
            Entry::Occupied(_) => None,
            Entry::Vacant(free) => {
                free.insert(service);
                Some(Registration { endpoints: self.clone(), address })
            }
        }
    }

    /// The service that answers at `address`, if it is one of this process.
    pub fn lookup(&self, address: SocketAddr) -> Option<Arc<dyn HttpService>> {
        self.shard(address).read().get(&address).cloned()
    }

    /// Pods of one node have neighbouring addresses and the same few ports, so the last byte spreads them evenly.
    fn shard(&self, address: SocketAddr) -> &RwLock<Shard> {
        let last = match address.ip() {
            IpAddr::V4(ip) => ip.octets()[3],
            IpAddr::V6(ip) => ip.octets()[15],
        };
        &self.shards[usize::from(last) % SHARDS]
    }
}

/// Keeps a service reachable at its address; dropping it makes the address free.
#[must_use = "dropping the registration makes the service unreachable"]
pub struct Registration {
    endpoints: HttpEndpoints,
    address: SocketAddr,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.endpoints.shard(self.address).write().remove(&self.address);
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::{Answer, Body, Refused};

    struct Idle;

    impl HttpService for Idle {
        fn call(&self, request: Request<Body>) -> Answer {
            Box::pin(async move { Err((Refused::Closed, Some(request))) })
        }

        fn load(&self) -> usize {
            0
        }
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_answers_while_it_is_registered() {
        let endpoints = HttpEndpoints::default();
        let first = endpoints.register(address("10.244.0.2:80"), Arc::new(Idle)).unwrap();
        let _second = endpoints.register(address("10.244.0.18:80"), Arc::new(Idle)).unwrap();

        assert!(endpoints.lookup(address("10.244.0.2:80")).is_some());
        assert!(endpoints.lookup(address("10.244.0.2:81")).is_none());
        drop(first);
        assert!(endpoints.lookup(address("10.244.0.2:80")).is_none());
        assert!(endpoints.lookup(address("10.244.0.18:80")).is_some(), "another address of the same shard stays");
    }

    #[test]
    fn a_taken_address_is_refused_until_it_is_free() {
        let endpoints = HttpEndpoints::default();
        let held = endpoints.register(address("[fd00::2]:80"), Arc::new(Idle)).unwrap();

        assert!(endpoints.clone().register(address("[fd00::2]:80"), Arc::new(Idle)).is_none());
        assert!(endpoints.lookup(address("[fd00::2]:80")).is_some(), "the refused one has not displaced the holder");
        drop(held);
        assert!(endpoints.register(address("[fd00::2]:80"), Arc::new(Idle)).is_some());
    }
}
