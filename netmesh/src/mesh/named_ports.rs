//! The ports of Services by name, for who serves a Service and comes by none of its addresses.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use super::frontends::Frontend;
use crate::backends::{Backends, Behind, Scope};
use crate::table::{ObjectName, Port};

/// The TCP ports of Services: changed by the table, read by every request.
#[derive(Default)]
pub(crate) struct NamedPorts {
    all: RwLock<HashMap<ObjectName, Vec<Numbered>>>,
}

type Numbered = (u16, Arc<Frontend>);

/// What is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Service,
    Port,
}

impl NamedPorts {
    pub(crate) fn replace(&self, service: ObjectName, ports: Option<Vec<(Port, Arc<Backends>)>>) {
        let opened = |(port, backends): (Port, Arc<Backends>)| {
            (port.number, Arc::new(Frontend::new(backends, Scope::Cluster, port.affinity)))
        };
        let mut all = self.all.write();
        match ports {
            Some(ports) => all.insert(service, ports.into_iter().map(opened).collect()),
            None => all.remove(&service),
        };
    }

    /// The port of a Service that has this number.
    pub(crate) fn numbered(&self, service: &ObjectName, number: u16) -> Result<Arc<Frontend>, Missing> {
        self.find(service, |port| port.0 == number)
    }

    /// The port of a Service that has this name.
    pub(crate) fn named(&self, service: &ObjectName, name: &str) -> Result<Arc<Frontend>, Missing> {
        self.find(service, |port| matches!(port.1.behind(), Behind::Service(port) if &*port.port == name))
    }

    fn find(&self, service: &ObjectName, is_wanted: impl Fn(&&Numbered) -> bool) -> Result<Arc<Frontend>, Missing> {
        let all = self.all.read();
        let ports = all.get(service).ok_or(Missing::Service)?;
        ports.iter().find(is_wanted).map(|port| port.1.clone()).ok_or(Missing::Port)
    }
}
