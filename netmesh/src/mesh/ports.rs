//! The ports of one Pod under one protocol, as Linux gives them out. Pure.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use carob_net::NetworkError;
use rand::RngExt;

/// The ports that are given to whoever asks for any: Linux's range.
const EPHEMERAL: std::ops::RangeInclusive<u16> = 32768..=60999;

/// Which addresses are taken, and what answers at those that are open.
pub(crate) struct Ports<T> {
    own: Vec<IpAddr>,
    taken: HashMap<u16, Vec<Binding<T>>>,
    last_key: u64,
}

struct Binding<T> {
    key: u64,
    ip: IpAddr,
    shares: bool,
    open: Option<T>,
}

/// Names one binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) address: SocketAddr,
    number: u64,
}

/// Whether a binding may stand beside another at one address as long as neither is open: what `SO_REUSEADDR` allows to TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    Unopened,
    Never,
}

impl<T> Ports<T> {
    /// The ports of a Pod with these addresses and a loopback.
    pub(crate) fn new(own: Vec<IpAddr>) -> Ports<T> {
        Ports { own, taken: HashMap::new(), last_key: 0 }
    }

    /// Takes an address; port 0 stands for any that is free.
    ///
    /// A port that was not asked for is never shared, as with the sockets of `wasi:sockets` on Linux.
    pub(crate) fn bind(&mut self, local: SocketAddr, sharing: Sharing) -> Result<Key, NetworkError> {
        let ip = local.ip();
        if !(ip.is_unspecified() || ip.is_loopback() || self.own.contains(&ip)) {
            return Err(NetworkError::AddressNotBindable);
        }
        let shares = sharing == Sharing::Unopened && local.port() != 0;
        let port = match local.port() {
            0 => self.free_port(ip)?,
            port if self.is_in_use(ip, port, shares) => return Err(NetworkError::AddressInUse),
            port => port,
        };
        self.last_key += 1;
        let binding = Binding { key: self.last_key, ip, shares, open: None };
        self.taken.entry(port).or_default().push(binding);
        Ok(Key { address: SocketAddr::new(ip, port), number: self.last_key })
    }

    /// Lets `answers` answer at the address, if nothing else does.
    pub(crate) fn open(&mut self, key: Key, answers: T) -> Result<(), NetworkError> {
        let bindings = self.taken.get_mut(&key.address.port()).map(Vec::as_mut_slice).unwrap_or_default();
        let others = bindings.iter().filter(|other| other.key != key.number);
        if others.into_iter().any(|other| other.open.is_some() && overlap(other.ip, key.address.ip())) {
            return Err(NetworkError::AddressInUse);
        }
        if let Some(own) = bindings.iter_mut().find(|binding| binding.key == key.number) {
            own.open = Some(answers);
        }
        Ok(())
    }

    /// Nothing answers there any more; the address stays taken.
    pub(crate) fn close(&mut self, key: Key) -> Option<T> {
        let bindings = self.taken.get_mut(&key.address.port())?;
        bindings.iter_mut().find(|binding| binding.key == key.number)?.open.take()
    }

    /// Makes the address free.
    pub(crate) fn release(&mut self, key: Key) {
        let port = key.address.port();
        let Some(bindings) = self.taken.get_mut(&port) else { return };
        bindings.retain(|binding| binding.key != key.number);
        if bindings.is_empty() {
            self.taken.remove(&port);
        }
    }

    /// What answers at an address: who asked for the very address comes before who asked for all of them.
    pub(crate) fn at(&self, to: SocketAddr) -> Option<&T> {
        let open = || self.taken.get(&to.port()).into_iter().flatten().filter(|binding| binding.open.is_some());
        let exact = open().find(|binding| binding.ip == to.ip());
        exact.or_else(|| open().find(|binding| overlap(binding.ip, to.ip())))?.open.as_ref()
    }

    /// Closes everything.
    pub(crate) fn clear(&mut self) -> Vec<T> {
        self.taken.drain().flat_map(|(_, bindings)| bindings).filter_map(|binding| binding.open).collect()
    }

    fn is_in_use(&self, ip: IpAddr, port: u16, shares: bool) -> bool {
        let others = self.taken.get(&port).into_iter().flatten().filter(|other| overlap(other.ip, ip));
        others.into_iter().any(|other| !shares || !other.shares || other.open.is_some())
    }

    /// From a random place on, so that a port is not soon met again.
    fn free_port(&self, ip: IpAddr) -> Result<u16, NetworkError> {
        let first = rand::rng().random_range(EPHEMERAL);
        let round = (first..=*EPHEMERAL.end()).chain(*EPHEMERAL.start()..first);
        round.into_iter().find(|port| !self.is_in_use(ip, *port, false)).ok_or(NetworkError::AddressInUse)
    }
}

/// Whether two bound addresses mean a common one. A socket of IPv6 is for IPv6 only, as WASI has it.
fn overlap(one: IpAddr, other: IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4() && (one == other || one.is_unspecified() || other.is_unspecified())
}

#[cfg(test)]
mod tests;
