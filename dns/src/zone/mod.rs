//! The names of the cluster, as the Kubernetes DNS specification 1.1 has them. Pure: changes go in, answers come out.
//!
//! `change` is what may become known, `service` one Service with its endpoints, `reverse` the names of addresses, `answer`
//! what is said to a question.

mod answer;
mod change;
mod reverse;
mod service;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use carob_net::Range;

pub use answer::{Answer, Authority, Data, Kind, Record};
pub use change::{Change, Endpoint, Namespaced, Service, ServicePort, Slice};

use reverse::Pointers;
use service::{Known, Published};

/// What a zone is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneConfig {
    /// The cluster's domain, in lower case and without a dot at its end.
    pub domain: String,
    /// The addresses of Pods and Services, for whose names nobody else is asked.
    pub ranges: Vec<Range>,
    /// The Service at which the zone is served to Pods: where `ns.dns` of the domain leads.
    pub server: Namespaced,
}

/// What all names of the cluster mean now.
///
/// A change of a Service costs as much as it has endpoints, one of a slice as much as that lists, however many there are of
/// others.
#[derive(Debug, PartialEq, Eq)]
pub struct Zone {
    config: ZoneConfig,
    /// `.domain`, which ends every name in it.
    suffix: String,
    namespaces: HashSet<String>,
    /// By `service.namespace`, the way it stands in a question.
    services: HashMap<String, Known>,
    /// The Service of each slice.
    owners: HashMap<Namespaced, String>,
    pointers: Pointers,
    /// Grows with each change.
    serial: u32,
}

impl Zone {
    /// A zone that knows nothing yet.
    pub fn new(config: ZoneConfig) -> Zone {
        Zone {
            suffix: format!(".{}", config.domain),
            config,
            namespaces: HashSet::new(),
            services: HashMap::new(),
            owners: HashMap::new(),
            pointers: Pointers::default(),
            serial: 1,
        }
    }

    /// The cluster's domain.
    pub fn domain(&self) -> &str {
        &self.config.domain
    }

    /// Takes in one change.
    pub fn apply(&mut self, change: Change) {
        self.serial = self.serial.wrapping_add(1);
        match change {
            Change::Namespace(name) => drop(self.namespaces.insert(name)),
            Change::NamespaceGone(name) => drop(self.namespaces.remove(&name)),
            Change::Service(name, service) => self.replace_service(&name, Some(service)),
            Change::ServiceGone(name) => self.replace_service(&name, None),
            Change::Slice(name, slice) => self.replace_slice(name, Some(slice)),
            Change::SliceGone(name) => self.replace_slice(name, None),
        }
    }

    fn replace_service(&mut self, name: &Namespaced, service: Option<Service>) {
        let key = name.to_string();
        let known = self.services.entry(key.clone()).or_default();
        for address in addresses(known.service.as_ref()) {
            self.pointers.remove(*address, &key);
        }
        for address in addresses(service.as_ref()) {
            self.pointers.add(*address, key.clone());
        }
        let published = known.replace_service(service);
        self.settle(key, published);
    }

    fn replace_slice(&mut self, name: Namespaced, slice: Option<Slice>) {
        let owner = slice.as_ref().map(|slice| slice.service.to_string());
        let before = match &owner {
            Some(owner) => self.owners.insert(name.clone(), owner.clone()),
            None => self.owners.remove(&name),
        };
        if let Some(before) = before.filter(|before| Some(before) != owner.as_ref()) {
            self.list(before, &name, None);
        }
        if let Some(owner) = owner {
            self.list(owner, &name, slice);
        }
    }

    fn list(&mut self, owner: String, name: &Namespaced, slice: Option<Slice>) {
        let published = self.services.entry(owner.clone()).or_default().replace_slice(name, slice);
        self.settle(owner, published);
    }

    /// Follows with the names of addresses, and forgets a Service of which nothing is known any more.
    fn settle(&mut self, key: String, (old, new): (Vec<Published>, Vec<Published>)) {
        for (label, address) in old {
            self.pointers.remove(address, &format!("{label}.{key}"));
        }
        for (label, address) in new {
            self.pointers.add(address, format!("{label}.{key}"));
        }
        if self.services.get(&key).is_some_and(Known::is_empty) {
            self.services.remove(&key);
        }
    }
}

fn addresses(service: Option<&Service>) -> &[IpAddr] {
    match service {
        Some(Service::Cluster { addresses, .. }) => addresses,
        _ => &[],
    }
}

#[cfg(test)]
mod tests;
