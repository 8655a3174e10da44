use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};

use super::*;
use crate::cache::Cache;

/// A node as JSON over a sensible default.
fn node(name: &str, cpu: &str, extra: Value) -> Arc<Node> {
    let mut node = json!({
        "metadata": { "name": name, "labels": { "zone": name } },
        "status": { "allocatable": { "cpu": cpu, "memory": "1Gi", "pods": "3", "ephemeral-storage": "1Gi" } },
    });
    merge(&mut node, extra);
    Arc::new(serde_json::from_value(node).unwrap())
}

fn pod(spec: Value) -> Pod {
    let mut pod = json!({
        "metadata": { "namespace": "ns", "name": "p", "uid": "p" },
        "spec": { "containers": [{ "name": "c", "resources": { "requests": { "cpu": "400m" } } }] },
    });
    merge(&mut pod["spec"], spec);
    serde_json::from_value(pod).unwrap()
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn decide(pod: &Pod, nodes: &[Arc<Node>]) -> Decision {
    let mut cache = Cache::default();
    for node in nodes {
        cache.set_node(node.metadata.name.as_ref().unwrap(), Some(node));
    }
    plan(pod, &Demand::of(pod), &Storage::default(), cache.nodes(), 0).0
}

#[test]
fn reasons_are_those_of_kubernetes() {
    let taint = |effect: &str| json!({ "spec": { "taints": [{ "key": "gpu", "value": "a100", "effect": effect }] } });
    let cases = [
        (json!({}), json!({ "spec": { "unschedulable": true } }), "node(s) were unschedulable"),
        (json!({}), taint("NoSchedule"), "node(s) had untolerated taint {gpu: a100}"),
        (json!({}), taint("NoExecute"), "node(s) had untolerated taint {gpu: a100}"),
        (
            json!({}),
            json!({ "status": { "conditions": [{ "type": "Ready", "status": "Unknown" }] } }),
            "node(s) had untolerated taint {node.kubernetes.io/not-ready: }",
        ),
        (json!({ "nodeSelector": { "zone": "b" } }), json!({}), "node(s) didn't match Pod's node affinity/selector"),
        (
            json!({ "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{ "matchExpressions": [{ "key": "zone", "operator": "NotIn", "values": ["a"] }] }]
            } } } }),
            json!({}),
            "node(s) didn't match Pod's node affinity/selector",
        ),
        (json!({}), json!({ "status": { "allocatable": { "cpu": "300m" } } }), "Insufficient cpu"),
        (
            json!({ "containers": [{ "name": "c", "resources": { "requests": { "memory": "2Gi", "x.io/y": "1" } } }] }),
            json!({}),
            "Insufficient memory, 1 Insufficient x.io/y",
        ),
        (
            json!({ "containers": [{ "name": "c", "resources": { "requests": { "ephemeral-storage": "2Gi" } } }] }),
            json!({}),
            "Insufficient ephemeral-storage",
        ),
        (json!({}), json!({ "status": { "allocatable": { "pods": "0" } } }), "Too many pods"),
    ];
    for (spec, extra, reason) in cases {
        let expected = format!("0/1 nodes are available: 1 {reason}.");
        assert_eq!(decide(&pod(spec), &[node("a", "1", extra)]), Decision::Unschedulable(expected));
    }
}

#[test]
fn the_message_counts_each_reason() {
    let nodes = [
        node("a", "100m", json!({})),
        node("b", "100m", json!({ "status": { "allocatable": { "pods": "0" } } })),
        node("c", "1", json!({ "spec": { "unschedulable": true } })),
    ];
    let expected = "0/3 nodes are available: 1 Too many pods, 1 node(s) were unschedulable, 2 Insufficient cpu.";
    assert_eq!(decide(&pod(json!({})), &nodes), Decision::Unschedulable(expected.into()));
    assert_eq!(decide(&pod(json!({})), &[]), Decision::Unschedulable("no nodes available to schedule pods".into()));
}

#[test]
fn tolerated_taints_and_cordons_do_not_object() {
    let cordoned = node(
        "a",
        "1",
        json!({ "spec": {
        "unschedulable": true,
        "taints": [{ "key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule" }],
    } }),
    );
    let tolerant = pod(json!({ "tolerations": [{ "operator": "Exists" }] }));
    assert_eq!(decide(&tolerant, &[cordoned]), Decision::Bind("a".into()));
}

#[test]
fn preferences_decide_among_feasible_nodes() {
    let prefer_b = json!({ "affinity": { "nodeAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [
        { "weight": 10, "preference": { "matchExpressions": [{ "key": "zone", "operator": "In", "values": ["b"] }] } }
    ] } } });
    let polite = json!({ "spec": { "taints": [{ "key": "k", "effect": "PreferNoSchedule" }] } });
    let cases = [
        (prefer_b, node("a", "1", json!({})), node("b", "1", json!({})), "b"),
        (json!({}), node("a", "1", polite), node("b", "1", json!({})), "b"),
        (json!({}), node("a", "1", json!({})), node("b", "8", json!({})), "b"),
        (json!({}), node("a", "1", json!({})), node("b", "1", json!({})), "a"),
    ];
    for (spec, a, b, expected) in cases {
        assert_eq!(decide(&pod(spec.clone()), &[a, b]), Decision::Bind(expected.into()), "{spec}");
    }
}

#[test]
fn host_ports_are_taken_once() {
    let spec = json!({ "containers": [{ "name": "c", "ports": [{ "containerPort": 80, "hostPort": 8080 }] }] });
    let mut cache = Cache::default();
    cache.set_node("a", Some(&node("a", "1", json!({}))));
    let first = pod(spec);
    cache.assume(Demand::of(&first), "a");
    let mut second = first.clone();
    second.metadata.name = Some("second".into());
    let (decision, _) = plan(&second, &Demand::of(&second), &Storage::default(), cache.nodes(), 0);
    let expected = "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.";
    assert_eq!(decision, Decision::Unschedulable(expected.into()));
}

#[test]
fn siblings_spread_and_no_node_is_over_committed() {
    let mut cache = Cache::default();
    for name in ["a", "b", "c"] {
        cache.set_node(name, Some(&node(name, "1", json!({}))));
    }
    let mut landed: BTreeMap<String, usize> = BTreeMap::new();
    for index in 0..8 {
        let mut pod = pod(json!({}));
        pod.metadata.name = Some(format!("p{index}"));
        pod.metadata.owner_references = Some(vec![
            serde_json::from_value(
                json!({ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "r", "controller": true }),
            )
            .unwrap(),
        ]);
        let (decision, _) = plan(&pod, &Demand::of(&pod), &Storage::default(), cache.nodes(), 0);
        match decision {
            Decision::Bind(node) => {
                cache.assume(Demand::of(&pod), &node);
                *landed.entry(node).or_default() += 1;
            }
            Decision::Unschedulable(message) => {
                assert_eq!(message, "0/3 nodes are available: 3 Insufficient cpu.");
            }
        }
    }
    assert_eq!(landed.into_values().collect::<Vec<_>>(), [2, 2, 2], "two Pods of 400m fit a core");
}

#[test]
fn a_large_cluster_is_searched_in_turns() {
    let mut cache = Cache::default();
    for index in 0..1000 {
        let name = format!("n{index}");
        cache.set_node(&name, Some(&node(&name, "1", json!({}))));
    }
    let pod = pod(json!({}));
    let (decision, looked_at) = plan(&pod, &Demand::of(&pod), &Storage::default(), cache.nodes(), 900);
    assert_eq!((decision, looked_at), (Decision::Bind("n900".into()), 420));
}
