//! What a Pod refers to.

use crate::json::{list, text};
use serde_json::{Map, Value, json};

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
    /// What stands before the name in an annotation that grants configuration.
    granted: &'static str,
}

/// Before a container's name: the annotation whose list names the sources of what `wasi:config` answers to it.
const CONFIG: &str = "config.carob.dev/";

const SECRET: Fields = Fields {
    volume: "/secret/secretName",
    projected: "/secret/name",
    variable: "/valueFrom/secretKeyRef/name",
    variables: "/secretRef/name",
    granted: "secret/",
};

const CONFIG_MAP: Fields = Fields {
    volume: "/configMap/name",
    projected: "/configMap/name",
    variable: "/valueFrom/configMapKeyRef/name",
    variables: "/configMapRef/name",
    granted: "configmap/",
};

fn uses(pod: &Value, fields: &Fields, name: &str) -> bool {
    let mut containers = CONTAINERS.iter().flat_map(|at| list(pod, at));
    let mut volumes = list(pod, "/spec/volumes").iter();
    volumes.any(|volume| is_of_volume(volume, fields, name))
        || containers.any(|container| {
            list(container, "/env").iter().any(|one| text(one, fields.variable) == name)
                || list(container, "/envFrom").iter().any(|one| text(one, fields.variables) == name)
        })
        || is_granted(pod, fields, name)
}

/// Keeps the grants of configuration as they were: who writes a status, a node above all, may not grant itself anything by
/// it.
pub(super) fn keep_grants(new: &mut Value, old: &Value) {
    let grants = |metadata: &Value| -> Map<String, Value> {
        let annotations = metadata.get("annotations").and_then(Value::as_object).into_iter().flatten();
        annotations
            .filter(|(key, _)| key.starts_with(CONFIG))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    let held = grants(old);
    if grants(new) == held {
        return;
    }
    let annotations = new.as_object_mut().map(|metadata| metadata.entry("annotations").or_insert_with(|| json!({})));
    if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
        annotations.retain(|key, _| !key.starts_with(CONFIG));
        annotations.extend(held);
    }
}

fn is_granted(pod: &Value, fields: &Fields, name: &str) -> bool {
    let annotations = pod.pointer("/metadata/annotations").and_then(Value::as_object).into_iter().flatten();
    let mut lists = annotations.filter(|(key, _)| key.starts_with(CONFIG)).filter_map(|(_, value)| value.as_str());
    lists.any(|list| {
        let mut sources = list.split(',').filter_map(|source| source.trim().strip_prefix(fields.granted));
        sources.any(|source| source.strip_suffix('?').unwrap_or(source) == name)
    })
}

fn is_of_volume(volume: &Value, fields: &Fields, name: &str) -> bool {
    let mut sources = list(volume, "/projected/sources").iter();
    text(volume, fields.volume) == name || sources.any(|source| text(source, fields.projected) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_grants_nothing_and_takes_nothing_away() {
        let grant = "config.carob.dev/app";
        let old = json!({ "name": "p", "annotations": { grant: "configmap/a", "b": "1" } });
        for new in [
            json!({ "name": "p", "annotations": { grant: "secret/b", "b": "2" } }),
            json!({ "name": "p", "annotations": { "config.carob.dev/other": "secret/b", "b": "2" } }),
        ] {
            let mut kept = new;
            keep_grants(&mut kept, &old);
            assert_eq!(kept, json!({ "name": "p", "annotations": { grant: "configmap/a", "b": "2" } }));
        }
        let mut bare = json!({ "name": "p" });
        keep_grants(&mut bare, &old);
        assert_eq!(bare["annotations"], json!({ grant: "configmap/a" }));
        let mut untouched = json!({ "name": "p", "annotations": null });
        keep_grants(&mut untouched, &json!({ "name": "p" }));
        assert_eq!(untouched, json!({ "name": "p", "annotations": null }));
    }

    #[test]
    fn every_way_to_name_an_object_is_known() {
        let annotations = json!({
            "config.carob.dev/app": "configmap/m5, secret/s6?",
            "other.example.com/app": "configmap/m6",
        });
        let pod = json!({ "metadata": { "annotations": annotations }, "spec": {
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
            ("secrets", vec!["pull", "s2", "s3", "s4", "s5", "s6"]),
            ("configmaps", vec!["m1", "m2", "m3", "m4", "m5"]),
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
            ("configmaps", "m6"),
            ("pods", "s2"),
            ("secrets", ""),
        ] {
            assert!(!node_uses(&pod, resource, name), "{resource} {name}");
        }
    }
}
