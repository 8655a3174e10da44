//! The pools that Services draw from.

use std::{collections::HashSet, net::Ipv4Addr};

use carob_store::{Store, prefix_end};
use rand::seq::IteratorRandom;

use super::Claim;
use crate::{ApiServer, Config};

/// How often chance is tried before everything that is free is looked for.
const GUESSES: usize = 16;

/// Why something cannot be had.
#[derive(Debug)]
pub(super) enum Refused {
    Store(carob_store::Error),
    Exhausted(String),
    Value { value: String, why: String },
}

impl From<carob_store::Error> for Refused {
    fn from(error: carob_store::Error) -> Self {
        Self::Store(error)
    }
}

/// What can be taken, and what is.
pub(super) struct Pool<'a> {
    store: &'a dyn Store,
    config: &'a Config,
}

impl<'a> Pool<'a> {
    pub(super) fn new(api: &'a ApiServer) -> Self {
        Self { store: &**api.store(), config: api.config() }
    }

    /// An address that was asked for.
    pub(super) async fn check_ip(&self, asked: &str, held: &[Claim]) -> Result<Ipv4Addr, Refused> {
        let refuse = |why: String| Refused::Value { value: format!("{asked:?}"), why };
        let ip: Ipv4Addr = asked.parse().map_err(|_| refuse("must be a valid IPv4 address".to_owned()))?;
        let (network, length) = self.config.service_cidr;
        if !self.hosts().contains(&u32::from(ip)) {
            return Err(refuse(format!(
                "failed to allocate IP {ip}: the provided IP ({ip}) is not in the valid range. \
                 The range of valid IPs is {network}/{length}"
            )));
        }
        if self.is_free(Claim::Ip(ip), held).await? {
            return Ok(ip);
        }
        Err(refuse(format!("failed to allocate IP {ip}: provided IP is already allocated")))
    }

    /// A port that was asked for.
    pub(super) async fn check_port(&self, asked: i64, held: &[Claim]) -> Result<(), Refused> {
        let refuse = |why: String| Refused::Value { value: asked.to_string(), why };
        let range = &self.config.node_ports;
        let port = u16::try_from(asked).ok().filter(|port| range.contains(port)).ok_or_else(|| {
            let (first, last) = (range.start(), range.end());
            refuse(format!("provided port is not in the valid range. The range of valid ports is {first}-{last}"))
        })?;
        if self.is_free(Claim::Port(port), held).await? {
            return Ok(());
        }
        Err(refuse("provided port is already allocated".to_owned()))
    }

    /// Any free address, but the first, which is the API server's own.
    pub(super) async fn any_ip(&self) -> Result<Ipv4Addr, Refused> {
        let mut hosts = self.hosts();
        hosts.next();
        let numbers = hosts.clone();
        let claim = self.any("/allocations/ips/", numbers, |number| Claim::Ip(Ipv4Addr::from(number))).await?;
        claim
            .map(Ipv4Addr::from)
            .ok_or_else(|| Refused::Exhausted("failed to allocate a serviceIP: range is full".to_owned()))
    }

    /// Any free port that is none of `chosen`.
    pub(super) async fn any_port(&self, chosen: &[Claim]) -> Result<u16, Refused> {
        let range = u32::from(*self.config.node_ports.start())..u32::from(*self.config.node_ports.end()) + 1;
        let as_claim = |number: u32| Claim::Port(u16::try_from(number).unwrap_or(0));
        for _ in 0..=chosen.len() {
            let found = self.any("/allocations/ports/", range.clone(), as_claim).await?;
            let Some(port) = found.and_then(|port| u16::try_from(port).ok()) else { break };
            if !chosen.contains(&Claim::Port(port)) {
                return Ok(port);
            }
        }
        Err(Refused::Exhausted("failed to allocate a nodePort: range is full".to_owned()))
    }

    /// A free one of `numbers`: by chance, and when chance fails because few are left, by looking at all.
    async fn any(
        &self,
        prefix: &str,
        numbers: std::ops::Range<u32>,
        claim: impl Fn(u32) -> Claim,
    ) -> Result<Option<u32>, Refused> {
        if numbers.is_empty() {
            return Ok(None);
        }
        for _ in 0..GUESSES {
            let number = rand::random_range(numbers.clone());
            if self.is_free(claim(number), &[]).await? {
                return Ok(Some(number));
            }
        }
        let taken = self.store.range(prefix.as_bytes(), &prefix_end(prefix.as_bytes()), 0, None).await?;
        let taken: HashSet<_> = taken.items.into_iter().map(|item| item.key).collect();
        let free = numbers.filter(|number| !taken.contains(claim(*number).key().as_bytes()));
        Ok(free.choose(&mut rand::rng()))
    }

    async fn is_free(&self, claim: Claim, held: &[Claim]) -> Result<bool, Refused> {
        Ok(held.contains(&claim) || self.store.get(claim.key().as_bytes()).await?.is_none())
    }

    /// The addresses of the service network, without its own and the broadcast address.
    fn hosts(&self) -> std::ops::Range<u32> {
        let (network, length) = self.config.service_cidr;
        let size = 1_u64 << (32 - u32::from(length.min(32)));
        let first = u64::from(u32::from(network)) & !(size - 1);
        let clamp = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        clamp(first + 1)..clamp(first + size - 1)
    }
}
