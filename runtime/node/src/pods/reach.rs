//! What probes and hooks reach a container by.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use carob_net::{HttpRoute, Network, NetworkError, TcpOptions, TcpStream};
use k8s_openapi::api::core::v1::Container as ContainerSpec;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::runtime::Container;

/// A running container, and how to talk to it: from within its Pod's own network, as its siblings do.
#[derive(Clone)]
pub(crate) struct Reach {
    pub(crate) network: Arc<dyn Network>,
    pub(crate) ip: IpAddr,
    pub(crate) spec: Arc<ContainerSpec>,
    pub(crate) container: Arc<dyn Container>,
}

impl Reach {
    /// The address of `host`, or of the Pod if there is none, and of one of the container's ports, given by number or name.
    pub(crate) async fn address(&self, host: Option<&str>, port: &IntOrString) -> Result<SocketAddr, String> {
        let port = self.port(port)?;
        let Some(host) = host.filter(|host| !host.is_empty()) else { return Ok(SocketAddr::new(self.ip, port)) };
        let found = self.network.resolve(host).await.map_err(|error| format!("lookup {host}: {error}"))?;
        let first = found.first().ok_or_else(|| format!("lookup {host}: no such host"))?;
        Ok(SocketAddr::new(*first, port))
    }

    pub(crate) fn port(&self, port: &IntOrString) -> Result<u16, String> {
        let number = match port {
            IntOrString::Int(number) => Some(*number),
            IntOrString::String(name) => self.port_number(name),
        };
        let number = number.and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0);
        number.ok_or_else(|| match port {
            IntOrString::Int(number) => format!("invalid port number: {number}"),
            IntOrString::String(name) => format!("couldn't find port: {name}"),
        })
    }

    fn port_number(&self, name: &str) -> Option<i32> {
        let mut ports = self.spec.ports.iter().flatten();
        let named = ports.find(|port| port.name.as_deref() == Some(name)).map(|port| port.container_port);
        named.or_else(|| name.parse().ok())
    }

    /// How an HTTP request gets there.
    pub(crate) fn http_route(&self, remote: SocketAddr) -> Result<HttpRoute, String> {
        self.network.http_route(remote).map_err(|error| dial(remote, &error))
    }

    /// Connects by TCP; the error reads as a kubelet's.
    pub(crate) async fn connect(&self, remote: SocketAddr) -> Result<TcpStream, String> {
        let any: IpAddr = match remote {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let port = self.network.bind_tcp(SocketAddr::new(any, 0)).map_err(|error| dial(remote, &error))?;
        let connection = port.connect(remote, TcpOptions::default()).await;
        connection.map(TcpStream::from).map_err(|error| dial(remote, &error))
    }
}

fn dial(remote: SocketAddr, error: &NetworkError) -> String {
    match error {
        NetworkError::ConnectionRefused => format!("dial tcp {remote}: connect: connection refused"),
        NetworkError::TimedOut => format!("dial tcp {remote}: i/o timeout"),
        other => format!("dial tcp {remote}: {other}"),
    }
}
