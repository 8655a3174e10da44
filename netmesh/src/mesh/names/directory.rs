//! The names of the cluster: Services, and the Pods behind those that are headless.
//!
//! What answers is as the Kubernetes DNS specification 1.1 has it, below the cluster's domain.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use parking_lot::RwLock;

use crate::table::{Change, Host, ObjectName};

/// What the cluster knows of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    Addresses(Vec<IpAddr>),
    /// It stands for another name, as a Service of type ExternalName does.
    Alias(String),
}

/// The names of the cluster. A Service without ClusterIPs is headless: its endpoints are its addresses.
#[derive(Default)]
pub(crate) struct Directory {
    names: RwLock<Names>,
}

#[derive(Default)]
struct Names {
    services: HashMap<ObjectName, Kind>,
    /// The Service of each slice.
    slices: HashMap<ObjectName, ObjectName>,
    /// By Service, then by slice.
    hosts: HashMap<ObjectName, BTreeMap<Arc<str>, Vec<Host>>>,
}

enum Kind {
    Addresses(Vec<IpAddr>),
    Headless,
    External(String),
}

impl Directory {
    /// Takes in one change.
    pub(crate) fn apply(&self, change: &Change) {
        let names = &mut *self.names.write();
        match change {
            Change::Service(service) => {
                let kind = match (&service.external_name, &service.cluster_ips) {
                    (Some(other), _) => Kind::External(other.to_ascii_lowercase()),
                    (None, ips) if ips.is_empty() => Kind::Headless,
                    (None, ips) => Kind::Addresses(ips.clone()),
                };
                names.services.insert(service.name.clone(), kind);
            }
            Change::ServiceGone(name) => drop(names.services.remove(name)),
            Change::Slice(slice) => {
                names.forget_slice(&slice.name);
                if let Some(owner) = &slice.owner {
                    names.add_slice(&slice.name, owner, &slice.hosts);
                }
            }
            Change::SliceGone(name) => names.forget_slice(name),
        }
    }

    /// A name within the cluster's domain, in lower case.
    pub(crate) fn look_up(&self, name: &str) -> Option<Known> {
        let labels: Vec<&str> = name.split('.').collect();
        let names = self.names.read();
        match labels[..] {
            [service, namespace, "svc"] => names.service(service, namespace),
            [host, service, namespace, "svc"] => names.host(host, service, namespace),
            [dashed, _, "pod"] => dashed_address(dashed).map(|ip| Known::Addresses(vec![ip])),
            _ => None,
        }
    }
}

impl Names {
    fn service(&self, service: &str, namespace: &str) -> Option<Known> {
        let name = object(namespace, service);
        match self.services.get(&name)? {
            Kind::Addresses(ips) => Some(Known::Addresses(ips.clone())),
            Kind::External(other) => Some(Known::Alias(other.clone())),
            Kind::Headless => addresses(self.hosts_of(&name).map(|host| host.ip)),
        }
    }

    /// A Pod with that host name behind a headless Service.
    fn host(&self, host: &str, service: &str, namespace: &str) -> Option<Known> {
        let name = object(namespace, service);
        matches!(self.services.get(&name)?, Kind::Headless).then_some(())?;
        let named = self.hosts_of(&name).filter(|known| known.hostname.as_deref() == Some(host));
        addresses(named.map(|host| host.ip))
    }

    fn hosts_of(&self, service: &ObjectName) -> impl Iterator<Item = &Host> {
        self.hosts.get(service).into_iter().flat_map(BTreeMap::values).flatten()
    }

    fn add_slice(&mut self, name: &ObjectName, owner: &ObjectName, hosts: &[Host]) {
        self.slices.insert(name.clone(), owner.clone());
        self.hosts.entry(owner.clone()).or_default().insert(name.name.clone(), hosts.to_vec());
    }

    fn forget_slice(&mut self, name: &ObjectName) {
        let Some(owner) = self.slices.remove(name) else { return };
        let Some(slices) = self.hosts.get_mut(&owner) else { return };
        slices.remove(&name.name);
        if slices.is_empty() {
            self.hosts.remove(&owner);
        }
    }
}

fn object(namespace: &str, name: &str) -> ObjectName {
    ObjectName { namespace: namespace.into(), name: name.into() }
}

/// A name without addresses is no name to whoever asks for addresses.
fn addresses(found: impl Iterator<Item = IpAddr>) -> Option<Known> {
    let mut found: Vec<IpAddr> = found.collect();
    found.sort_unstable();
    found.dedup();
    (!found.is_empty()).then_some(Known::Addresses(found))
}

/// `10-244-0-2` is 10.244.0.2.
fn dashed_address(dashed: &str) -> Option<IpAddr> {
    dashed.replace('-', ".").parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}
