//! Names, resolved in this process: the Pod's own, the cluster's, then whatever the host's resolver knows.

mod directory;
mod search;
mod upstream;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use carob_net::{NetworkError, Workload};

use super::Shared;
pub(crate) use directory::Directory;
use directory::Known;
pub(crate) use upstream::Upstream;

/// The cluster's domain.
pub(crate) const DOMAIN: &str = "cluster.local";

/// ExternalName Services that lead to one another.
const MOST_ALIASES: usize = 8;

impl Shared {
    /// The addresses of `name` as `workload` means it.
    ///
    /// # Errors
    /// [`NetworkError::NameUnresolvable`] if there is no such name; [`NetworkError::ResolverFailure`] if nobody could say.
    pub(crate) async fn resolve(&self, workload: &Workload, name: &str) -> Result<Vec<IpAddr>, NetworkError> {
        if let Ok(address) = name.trim_start_matches('[').trim_end_matches(']').parse() {
            return Ok(vec![address]);
        }
        let name = name.to_ascii_lowercase();
        if !search::is_name(&name) {
            return Err(NetworkError::NameUnresolvable);
        }
        if let Some(own) = own(workload, &name) {
            return Ok(own);
        }
        for candidate in search::candidates(&name, &workload.namespace) {
            match self.look_up(candidate).await {
                Err(NetworkError::NameUnresolvable) => {}
                decided => return decided,
            }
        }
        Err(NetworkError::NameUnresolvable)
    }

    /// A full name. The cluster's domain is known here and nowhere else.
    async fn look_up(&self, mut name: String) -> Result<Vec<IpAddr>, NetworkError> {
        for _ in 0..MOST_ALIASES {
            let Some(inside) = search::inside_cluster(&name) else { return self.upstream.look_up(&name).await };
            match self.directory.look_up(inside) {
                Some(Known::Addresses(addresses)) => return Ok(addresses),
                Some(Known::Alias(other)) => name = other,
                None => return Err(NetworkError::NameUnresolvable),
            }
        }
        Err(NetworkError::NameUnresolvable)
    }
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
