//! Names: the Pod's own, then what the resolver knows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use carob_net::{NetworkError, TcpPort, UdpSocket, Workload, WorkloadSockets};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::pod::Pod;
use super::udp::Udp;

type Found = Result<Vec<IpAddr>, NetworkError>;

impl Pod {
    /// The addresses of `name` as the Pod means it.
    ///
    /// # Errors
    /// [`NetworkError::NameUnresolvable`] if there is no such name; [`NetworkError::ResolverFailure`] if nobody could say.
    pub(crate) fn find(self: &Arc<Self>, name: &str) -> BoxFuture<'static, Found> {
        if let Some(known) = known(&self.workload, name) {
            return async { known }.boxed();
        }
        let (pod, name) = (self.clone(), name.to_ascii_lowercase());
        async move {
            // What the name leads to has to be known, too.
            pod.shared.listed.wait().await?;
            let resolver = &pod.shared.config.resolver;
            resolver.resolve(&name, &pod.workload.names, Arc::new(PodSockets(pod.clone()))).await
        }
        .boxed()
    }
}

/// How servers that the Pod names itself are asked: by its own sockets, under the rules for them.
struct PodSockets(Arc<Pod>);

impl WorkloadSockets for PodSockets {
    fn bind_tcp(&self, local: SocketAddr) -> Result<Box<dyn TcpPort>, NetworkError> {
        Ok(Box::new(self.0.port(local)?))
    }

    fn bind_udp(&self, local: SocketAddr) -> Result<Box<dyn UdpSocket>, NetworkError> {
        Ok(Box::new(Udp::bind(&self.0, local)?))
    }
}

/// What needs nobody to be asked.
fn known(workload: &Workload, name: &str) -> Option<Found> {
    if let Ok(address) = name.trim_start_matches('[').trim_end_matches(']').parse() {
        return Some(Ok(vec![address]));
    }
    if !is_name(name) {
        return Some(Err(NetworkError::NameUnresolvable));
    }
    own(workload, &name.to_ascii_lowercase()).map(Ok)
}

/// Whether it can be a host name at all (RFC 1035 and 2181, with the underscore that Services of others have).
fn is_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// What a hosts file of the workload would say. `localhost` is its own loopback, whatever the file says.
fn own(workload: &Workload, name: &str) -> Option<Vec<IpAddr>> {
    let name = name.trim_end_matches('.');
    if name == "localhost" || name.ends_with(".localhost") {
        return Some(vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
    }
    let lines = workload.hosts.iter().filter(|(_, names)| names.iter().any(|own| own.eq_ignore_ascii_case(name)));
    let addresses: Vec<IpAddr> = lines.map(|(ip, _)| *ip).collect();
    (!addresses.is_empty()).then_some(addresses)
}

#[cfg(test)]
mod tests;
