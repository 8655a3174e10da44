//! Names for Pods of this process, without a packet where the zone knows.

mod search;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use carob_net::{NameServer, Names, NetworkError, Resolver, WorkloadSockets};
use futures::FutureExt;
use futures::future::BoxFuture;
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{RData, RecordType};

use crate::dns::Dns;
use crate::forward::{self, OwnSockets};
use crate::server::MOST_ALIASES;
use crate::wire;
use crate::zone::{Answer, Data, Kind};

/// The port of DNS.
const PORT: u16 = 53;

type Resolved = Result<Vec<IpAddr>, NetworkError>;

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dns")
    }
}

impl Resolver for Dns {
    fn resolve(&self, name: &str, names: &Names, sockets: Arc<dyn WorkloadSockets>) -> BoxFuture<'static, Resolved> {
        let (dns, candidates, servers) = (self.clone(), search::candidates(name, names), names.servers.clone());
        async move {
            for candidate in candidates {
                match dns.ask(&candidate, &servers, &sockets).await {
                    Err(NetworkError::NameUnresolvable) => {}
                    decided => return decided,
                }
            }
            Err(NetworkError::NameUnresolvable)
        }
        .boxed()
    }

    fn metrics(&self) -> String {
        Dns::metrics(self)
    }
}

impl Dns {
    /// The servers in order: the next one is only asked if one is silent.
    async fn ask(&self, name: &str, servers: &[NameServer], sockets: &Arc<dyn WorkloadSockets>) -> Resolved {
        let mut asked_host = false;
        let mut last = Err(NetworkError::NameUnresolvable);
        for server in servers {
            last = match server {
                NameServer::Cluster(_) => self.ask_zone(name).await,
                // They are asked in turn behind the one memory.
                NameServer::Host(_) if std::mem::replace(&mut asked_host, true) => continue,
                NameServer::Host(_) => self.ask_others(name).await,
                NameServer::Own(address) => ask_own(name, (*address, PORT).into(), sockets).await,
            };
            if last != Err(NetworkError::ResolverFailure) {
                break;
            }
        }
        last
    }

    async fn ask_zone(&self, name: &str) -> Resolved {
        self.directory.complete().await.ok_or(NetworkError::ResolverFailure)?;
        let mut name = name.to_owned();
        for _ in 0..MOST_ALIASES {
            let found = match self.directory.look_up(&name, Kind::Any, rand::random::<u16>().into()) {
                None => return Err(NetworkError::ResolverFailure),
                Some(Answer::NotOurs) => return self.ask_others(&name).await,
                Some(Answer::Found { answers, .. }) => answers,
                Some(_) => return Err(NetworkError::NameUnresolvable),
            };
            let alias = found.iter().find_map(|record| match &record.data {
                Data::Alias(other) => Some(other.clone()),
                _ => None,
            });
            let Some(other) = alias else {
                let addresses = found.iter().filter_map(|record| match record.data {
                    Data::Address(address) => Some(address),
                    _ => None,
                });
                return best_first(addresses.collect());
            };
            name = other;
        }
        Err(NetworkError::NameUnresolvable)
    }

    async fn ask_others(&self, name: &str) -> Resolved {
        let (v4, v6) = tokio::join!(self.ask_other(name, RecordType::A), self.ask_other(name, RecordType::AAAA));
        both(v4, v6)
    }

    async fn ask_other(&self, name: &str, kind: RecordType) -> Resolved {
        let query = query(name, kind)?;
        match self.forwarder.remembered(&query, false) {
            Some(answer) => addresses(&answer),
            None => addresses(&self.forwarder.ask(name, query, false).await.map_err(failure)?),
        }
    }
}

/// By sockets of whoever asks.
async fn ask_own(name: &str, server: SocketAddr, sockets: &Arc<dyn WorkloadSockets>) -> Resolved {
    let servers = forward::pool(&[server], OwnSockets::new(sockets.clone()));
    let ask = async |kind| addresses(&forward::ask(&servers, query(name, kind)?).await.map_err(failure)?);
    let (v4, v6) = tokio::join!(ask(RecordType::A), ask(RecordType::AAAA));
    both(v4, v6)
}

/// Why nobody answers is for the log: a Pod is only told that it is so.
fn failure(error: impl fmt::Display) -> NetworkError {
    tracing::debug!(%error, "nobody can say");
    NetworkError::ResolverFailure
}

fn query(name: &str, kind: RecordType) -> Result<Query, NetworkError> {
    Ok(Query::query(wire::full(name).map_err(|_| NetworkError::NameUnresolvable)?, kind))
}

/// The addresses in an answer, whatever aliases lead to them.
fn addresses(answer: &Message) -> Resolved {
    match answer.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        _ => return Err(NetworkError::ResolverFailure),
    }
    let address = |data: &RData| match data {
        RData::A(address) => Some(address.0.into()),
        RData::AAAA(address) => Some(address.0.into()),
        _ => None,
    };
    Ok(answer.answers.iter().filter_map(|record| address(&record.data)).collect())
}

/// One family is enough; that neither has addresses is only known if both have answered.
fn both(v4: Resolved, v6: Resolved) -> Resolved {
    let failure = v4.as_ref().err().or(v6.as_ref().err()).cloned();
    let found = [v4.unwrap_or_default(), v6.unwrap_or_default()].concat();
    match failure {
        Some(failure) if found.is_empty() => Err(failure),
        _ => best_first(found),
    }
}

/// Addresses of the family that Pods have come first, otherwise in the order in which they were given.
fn best_first(mut addresses: Vec<IpAddr>) -> Resolved {
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses.dedup();
    if addresses.is_empty() { Err(NetworkError::NameUnresolvable) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests;
