//! Nodes that fall silent and come back, nodes that are gone for good, and the Pods that they leave behind.

mod support;

use std::time::Duration;

use kube::api::DeleteParams;
use serde_json::{Value, json};
use support::{Cluster, Faults, eventually, template};
use tokio::time::{Instant, sleep};

/// Longer than a node may be silent, and longer than a Pod without a node is left alone.
const LONG: Duration = Duration::from_secs(60);

fn ready() -> Value {
    json!({ "conditions": [{ "type": "Ready", "status": "True", "reason": "KubeletReady" }] })
}

/// A Node of which nobody renews the lease.
async fn register(cluster: &Cluster, name: &str) {
    cluster.apply(json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name } })).await;
    cluster.patch_status("Node", "", name, json!({ "status": ready() })).await;
}

/// A Pod that is on this node already. Its finalizer lets the test see how it ends.
async fn place(cluster: &Cluster, name: &str, node: &str) {
    let mut spec = template(name, "v1")["spec"].clone();
    spec["nodeName"] = json!(node);
    let metadata = json!({ "namespace": "default", "name": name, "finalizers": ["example.com/look"] });
    cluster.apply(json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec })).await;
}

async fn is_ready(cluster: &Cluster, name: &str) -> Value {
    let node = cluster.get("Node", "", name).await;
    let conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().find(|one| one["type"] == "Ready").map_or(Value::Null, |one| one["status"].clone())
}

async fn taints(cluster: &Cluster, name: &str) -> Vec<String> {
    let node = cluster.get("Node", "", name).await;
    let taints = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
    taints.iter().map(|taint| format!("{}:{}", taint["key"], taint["effect"]).replace('"', "")).collect()
}

async fn is_left(cluster: &Cluster, pod: &str) -> bool {
    cluster.get("Pod", "default", pod).await["metadata"]["deletionTimestamp"].is_null()
}

async fn a_silent_node_is_marked_until_it_speaks(faults: Faults) {
    let cluster = Cluster::with(faults).await;
    register(&cluster, "silent").await;
    place(&cluster, "stays", "silent").await;
    let unreachable = ["node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute"];
    eventually("the silent node is marked", || async { taints(&cluster, "silent").await == unreachable }).await;
    assert_eq!(is_ready(&cluster, "silent").await, "Unknown");
    sleep(LONG).await;
    assert_eq!(taints(&cluster, "n1").await, [""; 0], "a node that renews its lease is left alone");
    assert_eq!(is_ready(&cluster, "n1").await, "True");
    assert!(is_left(&cluster, "stays").await, "a Pod stays for the 300 seconds that it tolerates");

    eventually("the mark is taken off", || async {
        cluster.renew_lease("silent").await;
        cluster.patch_status("Node", "", "silent", json!({ "status": ready() })).await;
        sleep(Duration::from_secs(1)).await;
        taints(&cluster, "silent").await.is_empty() && is_ready(&cluster, "silent").await == "True"
    })
    .await;
}

async fn pods_of_a_node_that_is_gone_fail_and_go(faults: Faults) {
    let cluster = Cluster::with(faults).await;
    for node in ["gone", "back"] {
        register(&cluster, node).await;
    }
    place(&cluster, "left", "gone").await;
    place(&cluster, "kept", "back").await;
    place(&cluster, "lost", "nowhere").await;
    for node in ["gone", "back"] {
        cluster.delete("Node", "", node, DeleteParams::default()).await;
    }
    sleep(Duration::from_secs(20)).await;
    for pod in ["left", "kept", "lost"] {
        assert!(is_left(&cluster, pod).await, "{pod} went before its node could have come back");
    }
    register(&cluster, "back").await;

    eventually("the Pods are gone", || async { !is_left(&cluster, "left").await && !is_left(&cluster, "lost").await })
        .await;
    for (pod, node) in [("left", "gone"), ("lost", "nowhere")] {
        let status = cluster.get("Pod", "default", pod).await["status"].clone();
        assert_eq!(status["phase"], "Failed");
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let why = conditions.iter().find(|one| one["type"] == "DisruptionTarget").expect("a condition says why");
        assert_eq!(why["reason"], "DeletionByPodGC");
        assert_eq!(why["message"], format!("PodGC: node {node} no longer exists"));
    }
    sleep(LONG).await;
    assert!(is_left(&cluster, "kept").await, "its node came back");
}

const EVICTS: &str = "node.kubernetes.io/unreachable:NoExecute";

/// Which of these nodes lose their Pods.
async fn evicted<'a>(cluster: &Cluster, nodes: &[&'a str]) -> Vec<&'a str> {
    let mut evicted = Vec::new();
    for node in nodes {
        if taints(cluster, node).await.contains(&EVICTS.to_owned()) {
            evicted.push(*node);
        }
    }
    evicted
}

async fn nodes_lose_their_pods_one_after_the_other(faults: Faults) {
    let (cluster, nodes) = (Cluster::with(faults).await, ["a", "b"]);
    for node in nodes {
        register(&cluster, node).await;
    }
    eventually("the first is evicted", || async { !evicted(&cluster, &nodes).await.is_empty() }).await;
    let begin = Instant::now();
    assert_eq!(evicted(&cluster, &nodes).await.len(), 1, "one in ten seconds");
    eventually("the second is evicted", || async { evicted(&cluster, &nodes).await == nodes }).await;
    let between = begin.elapsed();
    assert!((9..20).contains(&between.as_secs()), "{between:?} after the first");
}

async fn most_of_a_zone_is_left_alone(faults: Faults) {
    let (cluster, nodes) = (Cluster::with(faults).await, ["a", "b", "c"]);
    for node in nodes {
        register(&cluster, node).await;
    }
    sleep(5 * LONG).await;
    for node in nodes {
        assert_eq!(is_ready(&cluster, node).await, "Unknown");
    }
    assert_eq!(evicted(&cluster, &nodes).await, [""; 0], "three of four are lost: perhaps it is we who are");
    eventually("one comes back", || async {
        cluster.renew_lease("c").await;
        cluster.patch_status("Node", "", "c", json!({ "status": ready() })).await;
        sleep(Duration::from_secs(1)).await;
        evicted(&cluster, &nodes).await == ["a", "b"]
    })
    .await;
}

async fn a_cut_from_all_nodes_evicts_nobody(faults: Faults) {
    let (cluster, nodes) = (Cluster::with(faults).await, ["n1", "a", "b"]);
    for node in &nodes[1..] {
        register(&cluster, node).await;
    }
    // Their heartbeats are spread over ten seconds.
    for round in 0..20 {
        cluster.renew_lease(nodes[1 + round % 2]).await;
        sleep(Duration::from_secs(4)).await;
    }
    cluster.silence_node();
    let silent = Instant::now();
    while silent.elapsed() < 5 * LONG {
        assert_eq!(evicted(&cluster, &nodes).await, [""; 0], "after {:?}", silent.elapsed());
        sleep(Duration::from_secs(1)).await;
    }
    for node in nodes {
        assert_eq!(is_ready(&cluster, node).await, "Unknown");
    }
    let back = Instant::now();
    for node in nodes {
        // The last one needs half a minute longer than the first.
        cluster.renew_lease("n1").await;
        cluster.renew_lease(node).await;
        cluster.patch_status("Node", "", node, json!({ "status": ready() })).await;
        assert_eq!(evicted(&cluster, &nodes).await, [""; 0], "after {:?}", back.elapsed());
        sleep(Duration::from_secs(15)).await;
    }
    assert_eq!(evicted(&cluster, &nodes).await, [""; 0]);
    assert_eq!(taints(&cluster, "b").await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn silence() {
    a_silent_node_is_marked_until_it_speaks(Faults::none()).await;
    a_silent_node_is_marked_until_it_speaks(Faults::seeded(1, 5)).await;
}

#[tokio::test(start_paused = true)]
async fn absence() {
    pods_of_a_node_that_is_gone_fail_and_go(Faults::none()).await;
    pods_of_a_node_that_is_gone_fail_and_go(Faults::seeded(1, 5)).await;
}

#[tokio::test(start_paused = true)]
async fn turns() {
    nodes_lose_their_pods_one_after_the_other(Faults::none()).await;
    nodes_lose_their_pods_one_after_the_other(Faults::seeded(1, 5)).await;
}

#[tokio::test(start_paused = true)]
async fn doubt() {
    most_of_a_zone_is_left_alone(Faults::none()).await;
    most_of_a_zone_is_left_alone(Faults::seeded(1, 5)).await;
}

#[tokio::test(start_paused = true)]
async fn cut_off() {
    a_cut_from_all_nodes_evicts_nobody(Faults::none()).await;
    a_cut_from_all_nodes_evicts_nobody(Faults::seeded(1, 5)).await;
}
