//! A node that runs short.

use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use serde_json::{Value, json};

use super::cluster::Cluster;

/// Starts a node that is always short of memory: no machine has all of it left.
fn start_short_node(cluster: &mut Cluster) {
    cluster.start_node_with(|config| config.eviction_hard = "memory.available<100%".parse().unwrap());
}

fn has_memory_pressure(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().any(|condition| condition["type"] == "MemoryPressure" && condition["status"] == "True")
}

fn container(requests: Value) -> Value {
    json!({"containers": [{"name": "a", "image": "app", "resources": {"requests": requests}}]})
}

#[tokio::test(start_paused = true)]
async fn pods_go_one_after_the_other_and_say_why() {
    let mut cluster = Cluster::without_node().await;
    cluster.create("within", container(json!({"memory": "1Gi"}))).await;
    cluster.create("above", container(json!({"memory": "1Ki"}))).await;
    start_short_node(&mut cluster);
    let above = cluster.pod_when("above", |pod| pod["status"]["phase"] == "Failed").await;
    let status = &above["status"];
    assert_eq!(status["reason"], "Evicted");
    let message = status["message"].as_str().unwrap();
    assert!(message.starts_with("The node was low on resource: memory. Threshold quantity: "), "{message}");
    let consumption = "Container a was using 64Ki, request is 1Ki, has larger consumption of memory. ";
    assert!(message.ends_with(consumption), "{message}");
    let conditions = status["conditions"].as_array().unwrap();
    let target = conditions.iter().find(|condition| condition["type"] == "DisruptionTarget").unwrap();
    assert_eq!((&target["status"], &target["reason"]), (&json!("True"), &json!("TerminationByKubelet")));
    assert_eq!(status["containerStatuses"][0]["state"]["terminated"]["exitCode"], 137);
    assert!(cluster.events("above").await.iter().any(|(reason, _)| reason == "Evicted"));
    // It goes last.
    cluster.running("within").await;
    cluster.pod_when("within", |pod| pod["status"]["reason"] == "Evicted").await;
}

#[tokio::test(start_paused = true)]
async fn a_node_under_pressure_says_so_and_refuses_who_asked_for_nothing() {
    let mut cluster = Cluster::without_node().await;
    start_short_node(&mut cluster);
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let pressed = async {
        while !has_memory_pressure(&json!(nodes.get_opt("n1").await.unwrap())) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(900), pressed).await.expect("the node says that it is short of memory");
    cluster.create("nothing", json!({"containers": [{"name": "a", "image": "app"}]})).await;
    let refused = cluster.pod_when("nothing", |pod| pod["status"]["phase"] == "Failed").await;
    assert_eq!(refused["status"]["reason"], "Evicted");
    assert_eq!(refused["status"]["message"], "The node had condition: [MemoryPressure]. ");
    assert!(cluster.runtime.started("a").is_empty(), "it never ran");
    let conditions = refused["status"]["conditions"].to_string();
    assert!(!conditions.contains("DisruptionTarget"), "{conditions}");
}
