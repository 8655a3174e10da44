//! A Pod's place in the node's network.

use std::net::IpAddr;
use std::sync::Arc;

use carob_net::{Network, NetworkError, Networks, Workload};
use k8s_openapi::api::core::v1::Pod;

use super::hostname::Hostname;
use super::names::names;
use super::spec::PodExt;
use crate::ip::PodIp;
use crate::node::ClusterNames;

/// A Pod's address and its network there: all containers of the Pod share it, and it outlives each of them. Dropping it
/// gives both back.
pub(crate) struct Place {
    /// First, so that the Pod has left before another can be given its address.
    network: Arc<dyn Network>,
    ip: PodIp,
}

impl Place {
    /// Joins `pod` at `ip`.
    ///
    /// # Errors
    /// [`NetworkError::AddressInUse`] while something still holds on to the network of the Pod that had the address before.
    pub(crate) fn take(
        networks: &dyn Networks,
        pod: &Pod,
        cluster: &ClusterNames,
        ip: PodIp,
    ) -> Result<Place, NetworkError> {
        let workload = workload(pod, cluster, IpAddr::V4(ip.address()));
        let network = networks.join(workload)?;
        Ok(Place { network, ip })
    }

    pub(crate) fn address(&self) -> IpAddr {
        IpAddr::V4(self.ip.address())
    }

    pub(crate) fn network(&self) -> Arc<dyn Network> {
        self.network.clone()
    }
}

/// The Pod as the network knows it, with the lines that a kubelet writes to its hosts file.
fn workload(pod: &Pod, cluster: &ClusterNames, ip: IpAddr) -> Workload {
    let reference = pod.reference();
    let spec = pod.spec();
    let aliases = spec.and_then(|spec| spec.host_aliases.as_ref()).into_iter().flatten();
    let aliases =
        aliases.filter_map(|alias| Some((alias.ip.parse().ok()?, alias.hostnames.clone().unwrap_or_default())));
    let Hostname { short, full, .. } = Hostname::of(pod);
    let own = full.into_iter().chain([short]).collect();
    let hosts = std::iter::once((ip, own)).chain(aliases).collect();
    Workload {
        namespace: reference.namespace,
        name: reference.name,
        addresses: vec![ip],
        hosts,
        names: names(pod, cluster),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hosts(name: &str, spec: serde_json::Value) -> Vec<(String, Vec<String>)> {
        let pod = json!({"metadata": {"namespace": "shop", "name": name}, "spec": spec});
        let pod = serde_json::from_value(pod).unwrap();
        let workload = workload(&pod, &ClusterNames::default(), "10.244.0.2".parse().unwrap());
        workload.hosts.into_iter().map(|(ip, names)| (ip.to_string(), names)).collect()
    }

    #[test]
    fn a_pod_knows_itself_by_its_name_or_its_hostname_and_subdomain() {
        let own = |name: &str, spec| hosts(name, spec).remove(0).1;
        assert_eq!(own("web-1", json!({"containers": []})), ["web-1"]);
        assert_eq!(
            own("web-1", json!({"containers": [], "hostname": "first", "subdomain": "web"})),
            ["first.web.shop.svc.cluster.local", "first"]
        );
    }

    #[test]
    fn host_aliases_follow_the_own_line() {
        let aliases =
            json!([{"ip": "192.0.2.7", "hostnames": ["db", "db.example"]}, {"ip": "nonsense", "hostnames": ["x"]}]);
        let lines = hosts("p", json!({"containers": [], "hostAliases": aliases}));
        assert_eq!(lines[0].0, "10.244.0.2");
        assert_eq!(lines[1..], [("192.0.2.7".to_owned(), vec!["db".to_owned(), "db.example".to_owned()])]);
    }
}
