//! Which node ports there are, and which endpoints are ready behind them. Pure: changes go in, effects come out.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::backends::Backends;

/// Namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ObjectName {
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
}

/// One port of a Service; an unnamed one has the empty name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ServicePort {
    pub(crate) service: ObjectName,
    pub(crate) port: Arc<str>,
}

impl fmt::Display for ServicePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service {}/{}", self.service.namespace, self.service.name)?;
        if self.port.is_empty() { Ok(()) } else { write!(f, " port {}", self.port) }
    }
}

/// A Service's wish to be reached at a port of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodePort {
    pub(crate) number: u16,
    pub(crate) target: ServicePort,
    /// Of the Service, for Events about it.
    pub(crate) uid: Arc<str>,
}

/// What a Service asks of this host.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) name: ObjectName,
    pub(crate) node_ports: Vec<NodePort>,
}

/// The ready endpoints that one EndpointSlice lists.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    pub(crate) name: ObjectName,
    pub(crate) ready: HashSet<(ServicePort, SocketAddr)>,
}

/// What has become known.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Service(Service),
    ServiceGone(ObjectName),
    Slice(Slice),
    SliceGone(ObjectName),
}

/// What the host has to do about it. Endpoints need nothing done: listeners see them through their [`Backends`].
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    Open(NodePort, Arc<Backends>),
    Close(u16),
}

/// The current truth about Services and their endpoints.
#[derive(Default)]
pub(crate) struct Table {
    services: HashMap<ObjectName, Service>,
    slices: HashMap<ObjectName, Slice>,
    backends: HashMap<ServicePort, Arc<Backends>>,
    /// Who wishes for a port; the first has it. There is more than one only while one Service's end and another's begin
    /// become known in the wrong order.
    claims: HashMap<u16, Vec<NodePort>>,
}

impl Table {
    /// Takes in one change.
    ///
    /// An endpoint that comes or goes costs the same however many Services and endpoints there are; the slice it is in is
    /// compared with what it was.
    pub(crate) fn apply(&mut self, change: Change) -> Vec<Effect> {
        match change {
            Change::Service(service) => self.replace_service(service),
            Change::ServiceGone(name) => self.replace_service(Service { name, node_ports: Vec::new() }),
            Change::Slice(slice) => self.replace_slice(slice),
            Change::SliceGone(name) => self.replace_slice(Slice { name, ready: HashSet::new() }),
        }
    }

    fn replace_service(&mut self, service: Service) -> Vec<Effect> {
        let old = self.services.remove(&service.name).map(|old| old.node_ports).unwrap_or_default();
        let mut effects = Vec::new();
        for gone in old.iter().filter(|port| !service.node_ports.contains(port)) {
            self.release(gone, &mut effects);
        }
        for new in service.node_ports.iter().filter(|port| !old.contains(port)) {
            self.claim(new.clone(), &mut effects);
        }
        if !service.node_ports.is_empty() {
            self.services.insert(service.name.clone(), service);
        }
        effects
    }

    fn claim(&mut self, port: NodePort, effects: &mut Vec<Effect>) {
        let claims = self.claims.entry(port.number).or_default();
        claims.push(port.clone());
        if claims.len() == 1 {
            effects.push(Effect::Open(port.clone(), self.backends_of(&port.target)));
        }
    }

    fn release(&mut self, port: &NodePort, effects: &mut Vec<Effect>) {
        let Some(claims) = self.claims.get_mut(&port.number) else { return };
        let had_it = claims.first() == Some(port);
        claims.retain(|claim| claim != port);
        let next = claims.first().cloned();
        if next.is_none() {
            self.claims.remove(&port.number);
        }
        if had_it {
            effects.push(Effect::Close(port.number));
            effects.extend(next.map(|next| Effect::Open(next.clone(), self.backends_of(&next.target))));
        }
        self.forget_if_unused(&port.target);
    }

    /// What is new comes before what is gone, so that a Service that moves is never without endpoints.
    fn replace_slice(&mut self, slice: Slice) -> Vec<Effect> {
        let old = self.slices.remove(&slice.name).map(|old| old.ready).unwrap_or_default();
        for (port, address) in slice.ready.difference(&old) {
            self.backends_of(port).add(*address);
        }
        for (port, address) in old.difference(&slice.ready) {
            self.backends_of(port).remove(*address);
            self.forget_if_unused(port);
        }
        if !slice.ready.is_empty() {
            self.slices.insert(slice.name.clone(), slice);
        }
        Vec::new()
    }

    /// Endpoints may become known before their Service, and the other way round.
    fn backends_of(&mut self, port: &ServicePort) -> Arc<Backends> {
        match self.backends.get(port) {
            Some(backends) => backends.clone(),
            None => {
                let backends = Arc::new(Backends::new(port.clone()));
                self.backends.insert(port.clone(), backends.clone());
                backends
            }
        }
    }

    fn forget_if_unused(&mut self, port: &ServicePort) {
        let service = self.services.get(&port.service);
        let wanted = service.is_some_and(|service| service.node_ports.iter().any(|wish| wish.target == *port));
        if !wanted && self.backends.get(port).is_some_and(|backends| backends.is_empty()) {
            self.backends.remove(port);
        }
    }
}

#[cfg(test)]
mod tests;
