//! No JSON whatever makes a strategy panic, and defaults settle at once.

use carob_resources::meta::{validate_metadata, validate_metadata_update};
use carob_resources::selector::{FieldSelector, LabelSelector};
use carob_resources::{Resource, all, quantity, table};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Names that strategies look at, so that arbitrary objects reach deep into them.
const FIELDS: &[&str] = &[
    "metadata",
    "name",
    "generateName",
    "namespace",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "spec",
    "status",
    "template",
    "selector",
    "matchLabels",
    "matchExpressions",
    "key",
    "operator",
    "values",
    "containers",
    "initContainers",
    "image",
    "ports",
    "containerPort",
    "port",
    "targetPort",
    "nodePort",
    "protocol",
    "env",
    "valueFrom",
    "fieldRef",
    "fieldPath",
    "volumeMounts",
    "volumes",
    "configMap",
    "projected",
    "sources",
    "items",
    "resources",
    "limits",
    "requests",
    "cpu",
    "memory",
    "livenessProbe",
    "httpGet",
    "exec",
    "command",
    "affinity",
    "nodeAffinity",
    "required",
    "nodeSelectorTerms",
    "accessModes",
    "capacity",
    "storage",
    "local",
    "claimRef",
    "allowedTopologies",
    "matchLabelExpressions",
    "tolerations",
    "effect",
    "strategy",
    "type",
    "rollingUpdate",
    "maxSurge",
    "maxUnavailable",
    "replicas",
    "clusterIP",
    "clusterIPs",
    "externalIPs",
    "sessionAffinity",
    "subsets",
    "addresses",
    "ip",
    "endpoints",
    "addressType",
    "data",
    "binaryData",
    "stringData",
    "immutable",
    "taints",
    "podCIDR",
    "capacity",
    "conditions",
    "containerStatuses",
    "initContainerStatuses",
    "state",
    "terminated",
    "waiting",
    "reason",
    "lastState",
    "finishedAt",
    "restartCount",
    "series",
    "involvedObject",
    "regarding",
    "kind",
    "eventTime",
    "deletionTimestamp",
    "schedulingGates",
    "activeDeadlineSeconds",
    "terminationGracePeriodSeconds",
    "phase",
    "loadBalancer",
    "ingress",
    "restartPolicy",
    "rules",
    "http",
    "paths",
    "path",
    "pathType",
    "backend",
    "defaultBackend",
    "service",
    "tls",
    "hosts",
    "parameters",
    "controller",
];
const TEXTS: &[&str] = &[
    "",
    "a",
    "web-1",
    "A b",
    "10.0.0.1",
    "1Gi",
    "-1m",
    "25%",
    "Always",
    "ClusterIP",
    "None",
    "In",
    "é\u{301}",
    "a/b/c",
];

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(TEXTS).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        let field = prop_oneof![8 => prop::sample::select(FIELDS).prop_map(str::to_owned), 1 => ".{0,6}".prop_map(String::from)];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((field, inner), 0..6).prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

/// A sound object of the kind in which one part was replaced by something arbitrary.
fn spoiled(resource: &Resource, place: &[usize], with: Value) -> Value {
    let mut object = sound(resource.kind);
    replace_part(&mut object, place, with);
    object
}

fn replace_part(value: &mut Value, place: &[usize], with: Value) {
    let part = match (value.as_array().map(Vec::len), place.split_first()) {
        (_, None) => None,
        (Some(0), _) => None,
        (Some(length), Some((step, rest))) => value.get_mut(step % length).map(|part| (part, rest)),
        (None, Some((step, rest))) => {
            let fields = value.as_object().map_or(0, Map::len).max(1);
            value.as_object_mut().and_then(|map| map.values_mut().nth(step % fields)).map(|part| (part, rest))
        }
    };
    match part {
        Some((part, rest)) => replace_part(part, rest, with),
        None => *value = with,
    }
}

fn sound(kind: &str) -> Value {
    let pod = json!({
        "containers": [{ "name": "a", "image": "hello", "ports": [{ "containerPort": 80 }],
            "env": [{ "name": "A", "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } } }],
            "resources": { "limits": { "cpu": "1" }, "requests": { "memory": "1Mi" } },
            "volumeMounts": [{ "name": "v", "mountPath": "/v" }],
            "readinessProbe": { "httpGet": { "port": 80 } } }],
        "volumes": [{ "name": "v", "projected": { "sources": [{ "configMap": { "name": "c" } }] } }],
        "tolerations": [{ "key": "a", "operator": "Exists" }],
        "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{ "matchExpressions": [{ "key": "a", "operator": "In", "values": ["b"] }] }] } } },
    });
    let template = json!({ "metadata": { "labels": { "app": "a" } }, "spec": pod });
    let rest = match kind {
        "Pod" => json!({ "spec": pod, "status": { "phase": "Running", "podIPs": [{ "ip": "10.0.0.1" }],
            "containerStatuses": [{ "name": "a", "restartCount": 1, "lastState": { "terminated": { "finishedAt": "2026-01-01T00:00:00Z" } },
                "state": { "waiting": { "reason": "CrashLoopBackOff" } } }] } }),
        "Deployment" | "ReplicaSet" => {
            json!({ "spec": { "selector": { "matchLabels": { "app": "a" } }, "template": template } })
        }
        "ReplicationController" => json!({ "spec": { "selector": { "app": "a" }, "template": template } }),
        "Service" => {
            json!({ "spec": { "type": "NodePort", "clusterIP": "10.96.0.1", "ports": [{ "port": 80, "nodePort": 30000 }] } })
        }
        "Node" => json!({ "spec": { "podCIDR": "10.0.0.0/24" }, "status": { "capacity": { "cpu": "1" } } }),
        "ConfigMap" | "Secret" => json!({ "data": { "a": "YQ==" } }),
        "Endpoints" => json!({ "subsets": [{ "addresses": [{ "ip": "10.0.0.1" }], "ports": [{ "port": 80 }] }] }),
        "PersistentVolumeClaim" => json!({ "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } },
        } }),
        "PersistentVolume" => json!({ "spec": {
            "accessModes": ["ReadWriteOnce"], "capacity": { "storage": "1Gi" }, "local": { "path": "/data" },
            "nodeAffinity": { "required": { "nodeSelectorTerms": [
                { "matchExpressions": [{ "key": "a", "operator": "Exists" }] }
            ] } },
        } }),
        "CertificateSigningRequest" => json!({ "spec": {
            "request": "YQ==", "signerName": "example.com/s", "usages": ["client auth"],
        } }),
        "StorageClass" => json!({ "provisioner": "example.com/p" }),
        "NetworkPolicy" => json!({ "spec": { "podSelector": {}, "egress": [{
            "ports": [{ "port": 1, "endPort": 2 }], "to": [{ "ipBlock": { "cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"] } }],
        }] } }),
        "IngressClass" => json!({ "spec": { "controller": "carob.dev/ingress" } }),
        "Ingress" => json!({ "spec": { "tls": [{ "hosts": ["a.example"], "secretName": "a" }], "rules": [{
            "host": "a.example", "http": { "paths": [{
                "path": "/", "pathType": "Prefix", "backend": { "service": { "name": "a", "port": { "number": 80 } } },
            }] },
        }] } }),
        "EndpointSlice" => {
            json!({ "addressType": "IPv4", "endpoints": [{ "addresses": ["10.0.0.1"] }], "ports": [{ "port": 80 }] })
        }
        _ => json!({}),
    };
    let mut object = json!({ "metadata": { "name": "a", "namespace": "default", "labels": { "app": "a" } } });
    if let (Value::Object(object), Value::Object(rest)) = (&mut object, rest) {
        object.extend(rest);
    }
    object
}

/// Everything the API server does with an object.
fn exercise(resource: &Resource, object: &Value, old: &Value) {
    let strategy = resource.strategy;
    let now = Timestamp::UNIX_EPOCH;
    let mut new = object.clone();
    strategy.to_served(&mut new);
    strategy.default(&mut new);
    let once = new.clone();
    strategy.default(&mut new);
    assert_eq!(new, once, "defaults of {} did not settle", resource.kind);
    strategy.prepare_create(&mut new, now);
    let _ = validate_metadata(resource, &new);
    let _ = (strategy.validate(&new), strategy.validate_create(&new), strategy.warnings(&new));
    let _ =
        (strategy.validate_update(&new, old), validate_metadata_update(&new, old), strategy.wishes_differ(&new, old));
    let _ = (strategy.grace_seconds(&new, Some(-1)), strategy.selectable_fields(&new));
    let _ = table::table(resource, &[new.clone(), object.clone()], now, table::Include::Metadata);
    let mut updated = new.clone();
    strategy.prepare_update(&mut updated, old);
    strategy.prepare_status(&mut updated, old);
    let _ = strategy.validate_status(&updated, old);
    strategy.to_stored(&mut updated);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_json_never_panics(object in json_value(), old in json_value()) {
        for resource in all() {
            exercise(resource, &object, &old);
        }
    }

    #[test]
    fn sound_objects_with_one_arbitrary_part_never_panic(
        place in prop::collection::vec(0_usize..8, 0..8), part in json_value(), other in json_value(),
    ) {
        for resource in all() {
            exercise(resource, &spoiled(resource, &place, part.clone()), &spoiled(resource, &place, other.clone()));
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in ".{0,40}") {
        let _ = LabelSelector::parse(&text);
        let _ = FieldSelector::parse(&text);
        let _ = quantity::Quantity::parse(&text);
    }

    #[test]
    fn quantities_keep_their_value_in_canonical_form(number in "[+-]?[0-9]{1,9}(\\.[0-9]{1,9})?(n|u|m||k|M|G|Ki|Mi|Gi|e3|e-2)") {
        let read = quantity::Quantity::parse(&number).expect("it has the form of a quantity");
        let again = quantity::Quantity::parse(&read.to_string()).expect("the canonical form is a quantity");
        // Only fractions of a unit in binary notation are rounded.
        prop_assert!(again == read || (number.contains('i') && again.units() == read.units()), "{number} became {read}");
    }
}

#[test]
fn sound_objects_are_sound() {
    for resource in all().iter().filter(|resource| resource.kind != "Event") {
        let mut object = sound(resource.kind);
        if resource.scope == carob_resources::Scope::Cluster {
            object["metadata"].as_object_mut().map(|metadata: &mut Map<String, Value>| metadata.remove("namespace"));
        }
        resource.strategy.default(&mut object);
        resource.strategy.prepare_create(&mut object, Timestamp::UNIX_EPOCH);
        assert_eq!(validate_metadata(resource, &object), [], "{}", resource.kind);
        assert_eq!(resource.strategy.validate(&object), [], "{}", resource.kind);
    }
}
