//! For whom a port of the host is opened: what logs and Events speak of.

use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;

use crate::backends::Behind;
use crate::objects::{HostPort, HostPorts};
use crate::table::{Frontend, ObjectName};

/// The object that asked for a port of the host.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) purpose: Purpose,
    behind: Behind,
    uid: Arc<str>,
}

/// What a port of the host is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    NodePort,
    LoadBalancer,
    HealthCheck,
    HostPort,
}

impl Purpose {
    /// The reason of the Event that says that the port cannot be had.
    pub(crate) fn unavailable(self) -> &'static str {
        match self {
            Purpose::NodePort => "NodePortUnavailable",
            Purpose::LoadBalancer => "LoadBalancerPortUnavailable",
            Purpose::HealthCheck => "HealthCheckNodePortUnavailable",
            Purpose::HostPort => "HostPortUnavailable",
        }
    }

    /// The field that chose the port.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Purpose::NodePort => "nodePort",
            Purpose::LoadBalancer => "port",
            Purpose::HealthCheck => "healthCheckNodePort",
            Purpose::HostPort => "hostPort",
        }
    }
}

impl Subject {
    pub(crate) fn service(frontend: &Frontend, purpose: Purpose) -> Subject {
        Subject { purpose, behind: frontend.target.clone().into(), uid: frontend.uid.clone() }
    }

    pub(crate) fn pod(pod: &HostPorts, port: HostPort) -> Subject {
        let behind = Behind::Pod(pod.name.clone(), port.to.port());
        Subject { purpose: Purpose::HostPort, behind, uid: pod.uid.clone() }
    }

    /// The object, for Events about it.
    pub(crate) fn reference(&self) -> ObjectReference {
        let (kind, ObjectName { namespace, name }) = match &self.behind {
            Behind::Service(port) => ("Service", &port.service),
            Behind::Pod(pod, _) => ("Pod", pod),
        };
        ObjectReference {
            api_version: Some("v1".into()),
            kind: Some(kind.into()),
            namespace: Some(namespace.to_string()),
            name: Some(name.to_string()),
            uid: Some(self.uid.to_string()),
            ..ObjectReference::default()
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.behind.fmt(f)
    }
}
