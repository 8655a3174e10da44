//! The ready endpoints of one Service port.

use std::collections::HashMap;
use std::net::SocketAddr;

use parking_lot::RwLock;
use rand::RngExt;
use rand::seq::SliceRandom;

use crate::table::ServicePort;

/// The ready endpoints of one Service port: changed by the table, read by every request.
#[derive(Debug)]
pub(crate) struct Backends {
    port: ServicePort,
    ready: RwLock<Ready>,
}

impl Backends {
    pub(crate) fn new(port: ServicePort) -> Self {
        Self { port, ready: RwLock::default() }
    }

    /// The Service port that these are behind.
    pub(crate) fn port(&self) -> &ServicePort {
        &self.port
    }

    pub(crate) fn add(&self, address: SocketAddr) {
        self.ready.write().add(address);
    }

    pub(crate) fn remove(&self, address: SocketAddr) {
        self.ready.write().remove(address);
    }

    pub(crate) fn contains(&self, address: SocketAddr) -> bool {
        self.ready.read().places.contains_key(&address)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ready.read().addresses.is_empty()
    }

    /// Two endpoints drawn at random, different ones if there are two.
    pub(crate) fn draw_two(&self) -> Option<(SocketAddr, Option<SocketAddr>)> {
        let addresses = &self.ready.read().addresses;
        let count = addresses.len();
        if count < 2 {
            return addresses.first().map(|only| (*only, None));
        }
        let mut random = rand::rng();
        let first = random.random_range(0..count);
        let other = (first + random.random_range(1..count)) % count;
        Some((addresses[first], Some(addresses[other])))
    }

    /// Up to `count` endpoints in random order.
    pub(crate) fn draw(&self, count: usize) -> Vec<SocketAddr> {
        let mut addresses = self.ready.read().addresses.clone();
        let (drawn, _) = addresses.partial_shuffle(&mut rand::rng(), count);
        drawn.to_vec()
    }
}

/// A set with constant-time change and constant-time random choice.
#[derive(Debug, Default)]
struct Ready {
    addresses: Vec<SocketAddr>,
    places: HashMap<SocketAddr, Place>,
}

#[derive(Debug)]
struct Place {
    index: usize,
    /// EndpointSlices that list the address: it is in two while it moves from one to the other.
    listed: usize,
}

impl Ready {
    fn add(&mut self, address: SocketAddr) {
        let index = self.addresses.len();
        let place = self.places.entry(address).or_insert(Place { index, listed: 0 });
        place.listed += 1;
        if place.listed == 1 {
            self.addresses.push(address);
        }
    }

    fn remove(&mut self, address: SocketAddr) {
        let Some(place) = self.places.get_mut(&address) else { return };
        place.listed -= 1;
        if place.listed > 0 {
            return;
        }
        let index = place.index;
        self.places.remove(&address);
        self.addresses.swap_remove(index);
        if let Some(moved) = self.addresses.get(index)
            && let Some(place) = self.places.get_mut(moved)
        {
            place.index = index;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backends() -> Backends {
        let service = crate::table::ObjectName { namespace: "default".into(), name: "web".into() };
        Backends::new(ServicePort { service, port: "http".into() })
    }

    fn address(port: u16) -> SocketAddr {
        ([10, 244, 0, 2], port).into()
    }

    #[test]
    fn nothing_is_drawn_from_nothing() {
        assert_eq!(backends().draw_two(), None);
        assert_eq!(backends().draw(4), []);
    }

    #[test]
    fn two_different_ones_are_drawn_and_each_of_them_sometime() {
        let backends = backends();
        (0..4).for_each(|port| backends.add(address(port)));

        let mut seen = [0; 4];
        for _ in 0..1000 {
            let (first, other) = backends.draw_two().unwrap();
            assert_ne!(Some(first), other);
            seen[usize::from(first.port())] += 1;
        }
        assert!(seen.iter().all(|&count| count > 0), "{seen:?}");
    }

    #[test]
    fn an_address_in_two_slices_stays_until_both_have_let_it_go() {
        let backends = backends();
        backends.add(address(1));
        backends.add(address(1));
        backends.add(address(2));
        backends.remove(address(1));
        assert_eq!(backends.draw(9).len(), 2);
        backends.remove(address(1));
        assert_eq!(backends.draw_two(), Some((address(2), None)));
        backends.remove(address(1));
        backends.remove(address(2));
        assert!(backends.is_empty());
    }
}
