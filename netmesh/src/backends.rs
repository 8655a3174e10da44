//! The endpoints of one Service port that flows may go to.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;

use parking_lot::RwLock;
use rand::RngExt;
use rand::seq::index;

use crate::table::{ObjectName, ServicePort};

/// Whose endpoints they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Behind {
    Service(ServicePort),
    /// A Pod's own port, which is reached at one of the host.
    Pod(ObjectName, u16),
}

impl From<ServicePort> for Behind {
    fn from(port: ServicePort) -> Behind {
        Behind::Service(port)
    }
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Behind::Service(port) => port.fmt(f),
            Behind::Pod(pod, port) => write!(f, "Pod {}/{} port {port}", pod.namespace, pod.name),
        }
    }
}

/// Whom a flow may be given to, as the Service's traffic policies have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Scope {
    /// Endpoints of every node: `Cluster`.
    #[default]
    Cluster,
    /// Those of this node, and nobody if there is none: `Local`.
    Node,
}

/// What an endpoint is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// It takes what is new.
    Ready,
    /// It is about to end and still answers: it takes what is new only while nobody is ready.
    Terminating,
}

/// The endpoints of one Service port: changed by the table, read by every flow.
#[derive(Debug)]
pub(crate) struct Backends {
    behind: Behind,
    sets: RwLock<Sets>,
}

#[derive(Debug, Default)]
struct Sets {
    ready: Set,
    terminating: Set,
    ready_here: Set,
    terminating_here: Set,
}

impl Sets {
    /// Those that flows go to now.
    fn of(&self, scope: Scope) -> &Set {
        let (ready, terminating) = match scope {
            Scope::Cluster => (&self.ready, &self.terminating),
            Scope::Node => (&self.ready_here, &self.terminating_here),
        };
        if ready.addresses.is_empty() { terminating } else { ready }
    }

    fn listing(&mut self, stage: Stage, is_here: bool) -> impl Iterator<Item = &mut Set> {
        let (all, here) = match stage {
            Stage::Ready => (&mut self.ready, &mut self.ready_here),
            Stage::Terminating => (&mut self.terminating, &mut self.terminating_here),
        };
        std::iter::once(all).chain(is_here.then_some(here))
    }
}

impl Backends {
    pub(crate) fn new(behind: impl Into<Behind>) -> Self {
        Self { behind: behind.into(), sets: RwLock::default() }
    }

    /// Whose endpoints these are.
    pub(crate) fn behind(&self) -> &Behind {
        &self.behind
    }

    pub(crate) fn add(&self, address: SocketAddr, stage: Stage, is_here: bool) {
        self.sets.write().listing(stage, is_here).for_each(|set| set.add(address));
    }

    pub(crate) fn remove(&self, address: SocketAddr, stage: Stage, is_here: bool) {
        self.sets.write().listing(stage, is_here).for_each(|set| set.remove(address));
    }

    pub(crate) fn contains(&self, scope: Scope, address: SocketAddr) -> bool {
        self.sets.read().of(scope).places.contains_key(&address)
    }

    pub(crate) fn is_empty(&self, scope: Scope) -> bool {
        self.sets.read().of(scope).addresses.is_empty()
    }

    /// Whether nobody is listed at all.
    pub(crate) fn is_unlisted(&self) -> bool {
        let sets = self.sets.read();
        sets.ready.addresses.is_empty() && sets.terminating.addresses.is_empty()
    }

    /// How many of this node are ready.
    pub(crate) fn ready_here(&self) -> usize {
        self.sets.read().ready_here.addresses.len()
    }

    /// Two endpoints drawn at random, different ones if there are two.
    pub(crate) fn draw_two(&self, scope: Scope) -> Option<(SocketAddr, Option<SocketAddr>)> {
        let sets = self.sets.read();
        let addresses = &sets.of(scope).addresses;
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
    pub(crate) fn draw(&self, scope: Scope, count: usize) -> Vec<SocketAddr> {
        let sets = self.sets.read();
        let addresses = &sets.of(scope).addresses;
        let drawn = index::sample(&mut rand::rng(), addresses.len(), count.min(addresses.len()));
        drawn.into_iter().map(|index| addresses[index]).collect()
    }
}

/// A set with constant-time change and constant-time random choice.
#[derive(Debug, Default)]
struct Set {
    addresses: Vec<SocketAddr>,
    places: HashMap<SocketAddr, Place>,
}

#[derive(Debug)]
struct Place {
    index: usize,
    /// EndpointSlices that list the address: it is in two while it moves from one to the other.
    listed: usize,
}

impl Set {
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
mod tests;
