//! What probes and hooks reach a container by.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use carob_net::HttpEndpoints;
use k8s_openapi::api::core::v1::Container as ContainerSpec;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::runtime::Container;

/// A running container, and how to talk to it.
#[derive(Clone)]
pub(crate) struct Reach {
    pub(crate) endpoints: HttpEndpoints,
    pub(crate) ip: IpAddr,
    pub(crate) spec: Arc<ContainerSpec>,
    pub(crate) container: Arc<dyn Container>,
}

impl Reach {
    /// The address of one of its ports, given by number or name.
    pub(crate) fn address(&self, port: &IntOrString) -> Result<SocketAddr, String> {
        let number = match port {
            IntOrString::Int(number) => Some(*number),
            IntOrString::String(name) => self.port_number(name),
        };
        let number = number.and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0);
        let number = number.ok_or_else(|| match port {
            IntOrString::Int(number) => format!("invalid port number: {number}"),
            IntOrString::String(name) => format!("couldn't find port: {name}"),
        })?;
        Ok(SocketAddr::new(self.ip, number))
    }

    fn port_number(&self, name: &str) -> Option<i32> {
        let mut ports = self.spec.ports.iter().flatten();
        let named = ports.find(|port| port.name.as_deref() == Some(name)).map(|port| port.container_port);
        named.or_else(|| name.parse().ok())
    }
}
