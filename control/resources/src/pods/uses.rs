//! What a Pod refers to.

use crate::json::{list, text};
use serde_json::Value;

/// Where a list of containers stands.
const CONTAINERS: [&str; 3] = ["/spec/containers", "/spec/initContainers", "/spec/ephemeralContainers"];

/// Whether a Pod needs the object of this resource (`secrets`, `configmaps` or `serviceaccounts`) and name of its namespace:
/// a node may read what its Pods need.
pub fn node_uses(pod: &Value, resource: &str, name: &str) -> bool {
    match resource {
        _ if name.is_empty() => false,
        "serviceaccounts" => text(pod, "/spec/serviceAccountName") == name,
        "secrets" => {
            uses(pod, &SECRET, name) || list(pod, "/spec/imagePullSecrets").iter().any(|one| text(one, "/name") == name)
        }
        "configmaps" => uses(pod, &CONFIG_MAP, name),
        _ => false,
    }
}

/// The fields by which a kind of object is named.
struct Fields {
    volume: &'static str,
    projected: &'static str,
    variable: &'static str,
    variables: &'static str,
}

const SECRET: Fields = Fields {
    volume: "/secret/secretName",
    projected: "/secret/name",
    variable: "/valueFrom/secretKeyRef/name",
    variables: "/secretRef/name",
};

const CONFIG_MAP: Fields = Fields {
    volume: "/configMap/name",
    projected: "/configMap/name",
    variable: "/valueFrom/configMapKeyRef/name",
    variables: "/configMapRef/name",
};

fn uses(pod: &Value, fields: &Fields, name: &str) -> bool {
    let mut containers = CONTAINERS.iter().flat_map(|at| list(pod, at));
    let mut volumes = list(pod, "/spec/volumes").iter();
    volumes.any(|volume| is_of_volume(volume, fields, name))
        || containers.any(|container| {
            list(container, "/env").iter().any(|one| text(one, fields.variable) == name)
                || list(container, "/envFrom").iter().any(|one| text(one, fields.variables) == name)
        })
}

fn is_of_volume(volume: &Value, fields: &Fields, name: &str) -> bool {
    let mut sources = list(volume, "/projected/sources").iter();
    text(volume, fields.volume) == name || sources.any(|source| text(source, fields.projected) == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_way_to_name_an_object_is_known() {
        let pod = json!({ "spec": {
            "serviceAccountName": "robot",
            "imagePullSecrets": [{ "name": "pull" }],
            "containers": [{ "name": "s1", "env": [{ "name": "s1", "valueFrom": { "secretKeyRef": { "name": "s2" } } }] }],
            "initContainers": [{ "envFrom": [{ "secretRef": { "name": "s3" } }, { "configMapRef": { "name": "m1" } }] }],
            "ephemeralContainers": [{ "env": [{ "valueFrom": { "configMapKeyRef": { "name": "m2" } } }] }],
            "volumes": [
                { "name": "v", "secret": { "secretName": "s4" } },
                { "name": "w", "configMap": { "name": "m3" } },
                { "name": "x", "projected": { "sources": [{ "secret": { "name": "s5" } }, { "configMap": { "name": "m4" } }] } },
            ],
        } });
        let used = [
            ("secrets", vec!["pull", "s2", "s3", "s4", "s5"]),
            ("configmaps", vec!["m1", "m2", "m3", "m4"]),
            ("serviceaccounts", vec!["robot"]),
        ];
        for (resource, names) in used {
            names.into_iter().for_each(|name| assert!(node_uses(&pod, resource, name), "{resource} {name}"));
        }
        for (resource, name) in [
            ("secrets", "s1"),
            ("secrets", "m1"),
            ("configmaps", "s3"),
            ("configmaps", "v"),
            ("pods", "s2"),
            ("secrets", ""),
        ] {
            assert!(!node_uses(&pod, resource, name), "{resource} {name}");
        }
    }
}
