//! Where Services can be reached, and which endpoints are ready behind them. Pure: changes go in, effects come out.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use carob_net::{Protocol, Range};

use crate::backends::{Backends, Scope, Stage};

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

/// Where a Service can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Door {
    /// At its node port, on the host.
    Node(Protocol, u16),
    /// At its own port, on the host: the host is one of those that balance its load.
    Balancer(Protocol, u16),
    /// At an address of its own, from Pods.
    Cluster(Protocol, SocketAddr),
    /// Nowhere, but whether endpoints of it are on this node is told at this port of the host.
    Health(u16),
}

/// A Service's wish to be reached at a door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frontend {
    pub(crate) door: Door,
    pub(crate) target: ServicePort,
    /// Of the Service, for Events about it.
    pub(crate) uid: Arc<str>,
    /// For how long a client that comes again is kept at the endpoint it had.
    pub(crate) affinity: Option<Duration>,
    /// Whom those who come in by this door are given to.
    pub(crate) scope: Scope,
    /// Who may come in by this door.
    pub(crate) sources: Sources,
}

/// From where flows are taken; `None` stands for everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sources(pub(crate) Option<Arc<[Range]>>);

impl Sources {
    pub(crate) fn admit(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        self.0.as_ref().is_none_or(|ranges| ranges.iter().any(|range| range.contains(client)))
    }
}

/// What a Service asks of this host.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) name: ObjectName,
    pub(crate) frontends: Vec<Frontend>,
    pub(crate) ports: Vec<Port>,
}

/// A TCP port of a Service, for who knows the Service by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) number: u16,
    pub(crate) target: ServicePort,
    /// For how long a client that comes again is kept at the endpoint it had.
    pub(crate) affinity: Option<Duration>,
}

/// An endpoint that flows may go to, behind one port of a Service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Listed {
    pub(crate) port: ServicePort,
    pub(crate) address: SocketAddr,
    pub(crate) stage: Stage,
    /// The node that it is on.
    pub(crate) node: Option<Arc<str>>,
}

/// What one EndpointSlice lists.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    pub(crate) name: ObjectName,
    pub(crate) listed: HashSet<Listed>,
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
    Open(Frontend, Arc<Backends>),
    Close(Door),
    /// The Service has these TCP ports now, or is gone.
    Ports(ObjectName, Option<Vec<(Port, Arc<Backends>)>>),
}

/// The current truth about Services and their endpoints.
pub(crate) struct Table {
    /// The name of this node.
    node: Arc<str>,
    services: HashMap<ObjectName, Vec<Frontend>>,
    ports: HashMap<ObjectName, Vec<Port>>,
    slices: HashMap<ObjectName, HashSet<Listed>>,
    backends: HashMap<ServicePort, Arc<Backends>>,
    /// Who wishes for a door; the first has it. There is more than one only while one Service's end and another's begin
    /// become known in the wrong order.
    claims: HashMap<Door, Vec<Frontend>>,
}

impl Table {
    pub(crate) fn new(node: &str) -> Table {
        Table {
            node: node.into(),
            services: HashMap::new(),
            ports: HashMap::new(),
            slices: HashMap::new(),
            backends: HashMap::new(),
            claims: HashMap::new(),
        }
    }

    /// Takes in one change.
    ///
    /// An endpoint that comes or goes costs the same however many Services and endpoints there are; the slice it is in is
    /// compared with what it was.
    pub(crate) fn apply(&mut self, change: Change) -> Vec<Effect> {
        match change {
            Change::Service(service) => {
                let ports = self.replace_ports(&service.name, Some(service.ports));
                ports.into_iter().chain(self.replace_service(service.name, service.frontends)).collect()
            }
            Change::ServiceGone(name) => {
                let ports = self.replace_ports(&name, None);
                ports.into_iter().chain(self.replace_service(name, Vec::new())).collect()
            }
            Change::Slice(slice) => self.replace_slice(slice.name, slice.listed),
            Change::SliceGone(name) => self.replace_slice(name, HashSet::new()),
        }
    }

    fn replace_service(&mut self, name: ObjectName, frontends: Vec<Frontend>) -> Vec<Effect> {
        let old = self.services.remove(&name).unwrap_or_default();
        let mut effects = Vec::new();
        for gone in old.iter().filter(|frontend| !frontends.contains(frontend)) {
            self.release(gone, &mut effects);
        }
        for new in frontends.iter().filter(|frontend| !old.contains(frontend)) {
            self.claim(new.clone(), &mut effects);
        }
        if !frontends.is_empty() {
            self.services.insert(name, frontends);
        }
        // Only now is it known whose ready endpoints nobody asks for any more.
        old.iter().for_each(|gone| self.forget_if_unused(&gone.target));
        effects
    }

    fn replace_ports(&mut self, name: &ObjectName, ports: Option<Vec<Port>>) -> Option<Effect> {
        let old = self.ports.remove(name);
        if let Some(ports) = &ports {
            self.ports.insert(name.clone(), ports.clone());
        }
        if old == ports {
            return None;
        }
        let with_backends = |port: Port| (port.clone(), self.backends_of(&port.target));
        let effect = Effect::Ports(name.clone(), ports.map(|ports| ports.into_iter().map(with_backends).collect()));
        old.iter().flatten().for_each(|gone| self.forget_if_unused(&gone.target));
        Some(effect)
    }

    fn claim(&mut self, frontend: Frontend, effects: &mut Vec<Effect>) {
        let claims = self.claims.entry(frontend.door).or_default();
        claims.push(frontend.clone());
        if claims.len() == 1 {
            let backends = self.backends_of(&frontend.target);
            effects.push(Effect::Open(frontend, backends));
        }
    }

    fn release(&mut self, frontend: &Frontend, effects: &mut Vec<Effect>) {
        let Some(claims) = self.claims.get_mut(&frontend.door) else { return };
        let had_it = claims.first() == Some(frontend);
        claims.retain(|claim| claim != frontend);
        let next = claims.first().cloned();
        if next.is_none() {
            self.claims.remove(&frontend.door);
        }
        if had_it {
            effects.push(Effect::Close(frontend.door));
            effects.extend(next.map(|next| Effect::Open(next.clone(), self.backends_of(&next.target))));
        }
    }

    /// What is new comes before what is gone, so that a Service that moves is never without endpoints.
    fn replace_slice(&mut self, name: ObjectName, listed: HashSet<Listed>) -> Vec<Effect> {
        let old = self.slices.remove(&name).unwrap_or_default();
        for new in listed.difference(&old) {
            self.backends_of(&new.port).add(new.address, new.stage, self.is_here(new));
        }
        for gone in old.difference(&listed) {
            self.backends_of(&gone.port).remove(gone.address, gone.stage, self.is_here(gone));
            self.forget_if_unused(&gone.port);
        }
        if !listed.is_empty() {
            self.slices.insert(name, listed);
        }
        Vec::new()
    }

    fn is_here(&self, listed: &Listed) -> bool {
        listed.node.as_ref() == Some(&self.node)
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
        let frontends = self.services.get(&port.service).into_iter().flatten();
        let ports = self.ports.get(&port.service).into_iter().flatten();
        let mut targets = frontends.map(|wish| &wish.target).chain(ports.map(|wish| &wish.target));
        let wanted = targets.any(|target| target == port);
        if !wanted && self.backends.get(port).is_some_and(|backends| backends.is_unlisted()) {
            self.backends.remove(port);
        }
    }
}

#[cfg(test)]
mod tests;
