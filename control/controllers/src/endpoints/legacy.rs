//! Pure: the same as slices, in the one object of `v1` that older clients read.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use crate::endpoints::backends::{Backend, Port, Ports, labels};

const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
/// More addresses than this do not fit: what is beyond is only in the slices.
const MOST: usize = 1000;

/// What the Service's Endpoints should be.
pub(crate) fn wanted(service: &Service, backends: &[Backend]) -> Endpoints {
    let publish = service.spec.as_ref().and_then(|spec| spec.publish_not_ready_addresses).unwrap_or(false);
    let present: Vec<_> = backends.iter().filter(|backend| publish || !backend.terminating).collect();
    let mut groups: BTreeMap<&Ports, (Vec<EndpointAddress>, Vec<EndpointAddress>)> = BTreeMap::new();
    for backend in present.iter().take(MOST) {
        let Some(address) = address(backend) else { continue };
        let (ready, unready) = groups.entry(&backend.ports).or_default();
        if backend.ready { ready.push(address) } else { unready.push(address) }
    }
    let mut labels = labels(service);
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    let annotations = (present.len() > MOST).then(|| BTreeMap::from([(OVER_CAPACITY.into(), "truncated".into())]));
    Endpoints {
        metadata: ObjectMeta {
            name: Some(service.name_any()),
            namespace: service.namespace(),
            labels: Some(labels),
            annotations,
            ..ObjectMeta::default()
        },
        subsets: Some(groups.into_iter().map(|(ports, (ready, unready))| subset(ports, ready, unready)).collect()),
    }
}

/// Whether `present` says the same as `wanted`.
pub(crate) fn is_same(present: &Endpoints, wanted: &Endpoints) -> bool {
    present.subsets.as_deref().unwrap_or_default() == wanted.subsets.as_deref().unwrap_or_default()
        && present.labels() == wanted.labels()
        && present.annotations().get(OVER_CAPACITY) == wanted.annotations().get(OVER_CAPACITY)
}

/// `present`, made to say the same as `wanted`. What others annotated stays.
pub(crate) fn updated(present: &Endpoints, wanted: Endpoints) -> Endpoints {
    let mut updated = present.clone();
    let over_capacity = wanted.annotations().get(OVER_CAPACITY).cloned();
    match over_capacity {
        Some(said) => updated.annotations_mut().insert(OVER_CAPACITY.into(), said),
        None => updated.annotations_mut().remove(OVER_CAPACITY),
    };
    updated.metadata.labels = wanted.metadata.labels;
    updated.subsets = wanted.subsets;
    updated
}

/// Whether these were written here, and not by a user for a Service without a selector.
pub(crate) fn is_ours(endpoints: &Endpoints) -> bool {
    endpoints.labels().get(MANAGED_BY).is_some_and(|manager| manager == MANAGER)
}

fn subset(ports: &[Port], ready: Vec<EndpointAddress>, unready: Vec<EndpointAddress>) -> EndpointSubset {
    let some = |addresses: Vec<EndpointAddress>| Some(addresses).filter(|addresses| !addresses.is_empty());
    EndpointSubset {
        addresses: some(ready),
        not_ready_addresses: some(unready),
        ports: Some(ports.iter().map(port).collect::<Vec<_>>()).filter(|ports| !ports.is_empty()),
    }
}

fn address(backend: &Backend) -> Option<EndpointAddress> {
    Some(EndpointAddress {
        ip: backend.addresses.first()?.to_string(),
        hostname: backend.hostname.clone(),
        node_name: backend.node.clone(),
        target_ref: Some(backend.pod.clone()),
    })
}

fn port(port: &Port) -> EndpointPort {
    EndpointPort {
        name: Some(port.name.clone()).filter(|name| !name.is_empty()),
        port: port.number,
        protocol: Some(port.protocol.clone()),
        app_protocol: port.application.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn endpoints(value: Value) -> Endpoints {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_update_takes_away_what_is_not_wanted_and_leaves_what_others_annotated() {
        let present = endpoints(json!({
            "metadata": {
                "name": "web", "resourceVersion": "7",
                "labels": { "old": "label" },
                "annotations": { OVER_CAPACITY: "truncated", "team": "blue" },
            },
            "subsets": [{ "addresses": [{ "ip": "10.0.0.1" }] }],
        }));
        let wanted = endpoints(json!({ "metadata": { "name": "web", "labels": { "new": "label" } }, "subsets": [] }));
        assert!(!is_same(&present, &wanted));
        let updated = updated(&present, wanted.clone());
        assert!(is_same(&updated, &wanted));
        assert_eq!(updated.annotations(), &BTreeMap::from([("team".to_owned(), "blue".to_owned())]));
        assert_eq!(updated.resource_version().as_deref(), Some("7"));
    }
}
