//! How a workload's names are found.

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::network::{NetworkError, TcpPort, UdpSocket};

/// What a `resolv.conf(5)` of a workload says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Whom to ask, in order. Without any, no name is known.
    pub servers: Vec<NameServer>,
    /// The domains in which short names are looked for, in order.
    pub search: Vec<String>,
    /// Options by their names, with their values.
    pub options: Vec<(String, Option<String>)>,
}

/// A name with fewer dots is looked for in the search domains first; glibc's default.
const DEFAULT_NDOTS: usize = 1;
/// glibc's bound.
const MOST_NDOTS: usize = 15;

impl Names {
    /// How many dots a name has that is first tried as it is.
    pub fn ndots(&self) -> usize {
        let given = self.options.iter().rev().find(|(name, _)| name == "ndots");
        let number = given.and_then(|(_, value)| value.as_deref()?.parse().ok());
        number.map_or(DEFAULT_NDOTS, |number: usize| number.min(MOST_NDOTS))
    }
}

/// Whom to ask for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameServer {
    /// The cluster's own, by its address.
    Cluster(IpAddr),
    /// One that the host asks for its own names: it is asked by the host.
    Host(IpAddr),
    /// Another, that the workload names: it is asked by the workload's own sockets, under the rules for these.
    Own(IpAddr),
}

impl NameServer {
    /// Its address.
    pub fn address(&self) -> IpAddr {
        match self {
            NameServer::Cluster(address) | NameServer::Host(address) | NameServer::Own(address) => *address,
        }
    }
}

/// The sockets of a workload, for whoever asks in its name.
pub trait WorkloadSockets: Send + Sync + 'static {
    /// Takes a local TCP address; see [`crate::Network::bind_tcp`].
    ///
    /// # Errors
    /// As there.
    fn bind_tcp(&self, local: SocketAddr) -> Result<Box<dyn TcpPort>, NetworkError>;

    /// Takes a local UDP address; see [`crate::Network::bind_udp`].
    ///
    /// # Errors
    /// As there.
    fn bind_udp(&self, local: SocketAddr) -> Result<Box<dyn UdpSocket>, NetworkError>;
}

/// Knows names, or whom to ask for them.
pub trait Resolver: Debug + Send + Sync + 'static {
    /// The addresses of a host name, best first, as a workload means it that has `names`; `sockets` are for servers of its own.
    ///
    /// # Errors
    /// [`NetworkError::NameUnresolvable`] if there is no such name; [`NetworkError::ResolverFailure`] if nobody could say.
    fn resolve(
        &self,
        name: &str,
        names: &Names,
        sockets: Arc<dyn WorkloadSockets>,
    ) -> BoxFuture<'static, Result<Vec<IpAddr>, NetworkError>>;

    /// What it has counted, in Prometheus' text format.
    fn metrics(&self) -> String {
        String::new()
    }
}

/// Knows no names.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nameless;

impl Resolver for Nameless {
    fn resolve(
        &self,
        _: &str,
        _: &Names,
        _: Arc<dyn WorkloadSockets>,
    ) -> BoxFuture<'static, Result<Vec<IpAddr>, NetworkError>> {
        async { Err(NetworkError::NameUnresolvable) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ndots_counts_and_has_a_bound() {
        let option = |value: &str| ("ndots".to_owned(), Some(value.to_owned()));
        for (options, ndots) in [
            (vec![], 1),
            (vec![option("5")], 5),
            (vec![option("5"), option("2")], 2),
            (vec![option("99")], 15),
            (vec![option("many")], 1),
            (vec![("rotate".to_owned(), None)], 1),
        ] {
            assert_eq!(Names { options, ..Names::default() }.ndots(), ndots);
        }
    }
}
