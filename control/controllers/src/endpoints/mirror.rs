//! Pure: the slices of a Service whose Endpoints somebody writes by hand. Balancers read slices only.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointSubset, Endpoints};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use crate::claim::controller_reference;
use crate::endpoints::backends::{Port, Ports};
use crate::endpoints::slices::{Action, MANAGED_BY, SERVICE_NAME, endpoint_port, slice_ports};

const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
/// On Endpoints whose writer keeps slices as well.
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
/// On Endpoints that only say who leads.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";

/// Whether these are to be read by way of slices.
pub(crate) fn is_mirrored(endpoints: &Endpoints) -> bool {
    let skipped = endpoints.labels().get(SKIP).is_some_and(|skip| skip == "true");
    !skipped && !endpoints.annotations().contains_key(LEADER) && endpoints.metadata.deletion_timestamp.is_none()
}

/// Whether this slice was written here.
pub(crate) fn is_ours(slice: &EndpointSlice) -> bool {
    slice.labels().get(MANAGED_BY).is_some_and(|manager| manager == MANAGER)
}

/// Plans one slice for each set of ports and family of addresses; none where there is nothing to mirror.
pub(crate) fn plan(endpoints: Option<&Endpoints>, existing: &[Arc<EndpointSlice>]) -> Vec<Action> {
    let mut wanted = endpoints.map(groups).unwrap_or_default();
    let mut actions = Vec::new();
    for slice in existing {
        let kept = wanted.remove(&(slice.address_type.clone(), slice_ports(slice)));
        match kept.zip(endpoints) {
            Some((content, of)) => actions.extend(update(of, slice, content)),
            None => actions.push(Action::Delete(slice.clone())),
        }
    }
    let new = wanted.into_iter().zip(std::iter::repeat(endpoints)).filter_map(|(group, of)| Some((group, of?)));
    actions.extend(new.map(|((key, content), of)| Action::Create(Box::new(slice(of, key, content)))));
    actions
}

fn groups(endpoints: &Endpoints) -> BTreeMap<(String, Ports), Vec<Endpoint>> {
    let mut groups: BTreeMap<_, Vec<Endpoint>> = BTreeMap::new();
    for subset in endpoints.subsets.iter().flatten() {
        let (ready, unready) = (subset.addresses.iter().flatten(), subset.not_ready_addresses.iter().flatten());
        for (address, ready) in ready.map(|one| (one, true)).chain(unready.map(|one| (one, false))) {
            if let Some(family) = family(address) {
                groups.entry((family, ports(subset))).or_default().push(endpoint(address, ready));
            }
        }
    }
    groups
}

fn family(address: &EndpointAddress) -> Option<String> {
    let ip: IpAddr = address.ip.parse().ok()?;
    Some(if ip.is_ipv4() { "IPv4".into() } else { "IPv6".into() })
}

fn ports(subset: &EndpointSubset) -> Ports {
    let port = |port: &k8s_openapi::api::core::v1::EndpointPort| Port {
        name: port.name.clone().unwrap_or_default(),
        number: port.port,
        protocol: port.protocol.clone().unwrap_or_else(|| "TCP".into()),
        application: port.app_protocol.clone(),
    };
    subset.ports.iter().flatten().map(port).collect()
}

fn endpoint(address: &EndpointAddress, ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![address.ip.clone()],
        conditions: Some(EndpointConditions { ready: Some(ready), ..EndpointConditions::default() }),
        hostname: address.hostname.clone().filter(|name| !name.is_empty()),
        node_name: address.node_name.clone(),
        target_ref: address.target_ref.clone(),
        ..Endpoint::default()
    }
}

fn update(endpoints: &Endpoints, slice: &Arc<EndpointSlice>, content: Vec<Endpoint>) -> Option<Action> {
    let labels = labels(endpoints);
    let is_same = slice.endpoints.as_deref().unwrap_or_default() == content && slice.labels() == &labels;
    let mut slice = slice.as_ref().clone();
    slice.endpoints = Some(content);
    slice.metadata.labels = Some(labels);
    (!is_same).then(|| Action::Update(Box::new(slice)))
}

fn slice(endpoints: &Endpoints, (address_type, ports): (String, Ports), content: Vec<Endpoint>) -> EndpointSlice {
    EndpointSlice {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", endpoints.name_any())),
            namespace: endpoints.namespace(),
            labels: Some(labels(endpoints)),
            owner_references: Some(vec![controller_reference(endpoints)]),
            ..ObjectMeta::default()
        },
        address_type,
        endpoints: Some(content),
        ports: Some(ports.iter().map(endpoint_port).collect::<Vec<EndpointPort>>()),
    }
}

fn labels(endpoints: &Endpoints) -> BTreeMap<String, String> {
    let mut labels = endpoints.labels().clone();
    labels.insert(SERVICE_NAME.into(), endpoints.name_any());
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    labels
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn endpoints(subsets: Value) -> Endpoints {
        from_value(json!({"metadata": {"name": "db", "namespace": "default", "uid": "u"}, "subsets": subsets})).unwrap()
    }

    /// What is there once the plan is carried out, and in words what it did.
    fn carried_out(
        endpoints: Option<&Endpoints>,
        existing: &[Arc<EndpointSlice>],
    ) -> (Vec<Arc<EndpointSlice>>, Vec<String>) {
        let told = |slice: &EndpointSlice| {
            let all = slice.endpoints.iter().flatten();
            let all =
                all.map(|one| format!("{}={}", one.addresses[0], one.conditions.as_ref().unwrap().ready.unwrap()));
            format!("{} {}", slice.address_type, all.collect::<Vec<_>>().join(" "))
        };
        let (mut slices, mut words) = (existing.to_vec(), Vec::new());
        for action in plan(endpoints, existing) {
            match action {
                Action::Create(slice) => {
                    words.push(format!("+{}", told(&slice)));
                    slices.push(Arc::new(*slice));
                }
                Action::Update(slice) => {
                    words.push(format!("~{}", told(&slice)));
                    slices.retain(|other| other.address_type != slice.address_type);
                    slices.push(Arc::new(*slice));
                }
                Action::Delete(slice) => {
                    words.push(format!("-{}", told(&slice)));
                    slices.retain(|other| !Arc::ptr_eq(other, &slice));
                }
            }
        }
        (slices, words)
    }

    #[test]
    fn slices_follow_the_endpoints_and_go_with_them() {
        let ports = json!([{"name": "sql", "port": 5432}]);
        let first = endpoints(json!([{
            "addresses": [{"ip": "192.0.2.1"}, {"ip": "fd00::1"}], "notReadyAddresses": [{"ip": "192.0.2.2"}],
            "ports": ports,
        }]));
        let (slices, did) = carried_out(Some(&first), &[]);
        assert_eq!(did, ["+IPv4 192.0.2.1=true 192.0.2.2=false", "+IPv6 fd00::1=true"]);
        assert!(slices.iter().all(|slice| is_ours(slice) && slice.labels()[SERVICE_NAME] == "db"));
        assert!(carried_out(Some(&first), &slices).1.is_empty(), "it is as it should be");
        let second = endpoints(json!([{"addresses": [{"ip": "192.0.2.2"}], "ports": ports}]));
        let (slices, did) = carried_out(Some(&second), &slices);
        assert_eq!(did, ["~IPv4 192.0.2.2=true", "-IPv6 fd00::1=true"]);
        assert_eq!(carried_out(None, &slices).1, ["-IPv4 192.0.2.2=true"]);
    }

    #[test]
    fn whoever_keeps_slices_as_well_is_not_mirrored() {
        let mut one = endpoints(json!([]));
        assert!(is_mirrored(&one));
        one.labels_mut().insert(SKIP.into(), "true".into());
        assert!(!is_mirrored(&one));
        let mut leader = endpoints(json!([]));
        leader.annotations_mut().insert(LEADER.into(), "{}".into());
        assert!(!is_mirrored(&leader));
    }
}
