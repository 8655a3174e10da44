//! What a node takes up again after it was away.

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use tokio::time::{Duration, Instant, sleep};

use super::cluster::{Cluster, until};

#[tokio::test(start_paused = true)]
async fn running_pods_are_started_anew_with_their_address_and_ended_ones_are_not() {
    let mut cluster = Cluster::start().await;
    cluster.create_single("runs", "Always").await;
    let before = cluster.running("runs").await;
    cluster.create_single("done", "Never").await;
    cluster.container("a", 1).await.exit(0);
    cluster.pod_when("done", |pod| pod["status"]["phase"] == "Succeeded").await;

    cluster.stop_node().await;
    cluster.start_node();
    let after = cluster.pod_when("runs", |pod| pod["status"]["containerStatuses"][0]["restartCount"] == 1).await;
    let status = &after["status"]["containerStatuses"][0];
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 255);
    assert!(!status["state"]["running"].is_null(), "{status}");
    assert_eq!(after["status"]["podIP"], before["status"]["podIP"]);
    assert_eq!(after["status"]["startTime"], before["status"]["startTime"]);
    assert_eq!(cluster.runtime.started("a").len(), 3, "the ended one was not run again");
}

#[tokio::test(start_paused = true)]
async fn pods_that_were_deleted_meanwhile_end_and_leave_nothing() {
    let mut cluster = Cluster::start().await;
    for name in ["removed", "deleted"] {
        cluster.create_single(name, "Always").await;
        cluster.running(name).await;
    }
    let folders = || std::fs::read_dir(cluster.dir.path().join("node/pods")).unwrap().count();
    assert_eq!(folders(), 2);
    cluster.stop_node().await;
    cluster.delete("removed", DeleteParams::default().grace_period(0)).await;
    cluster.delete("deleted", DeleteParams::default()).await;

    cluster.start_node();
    cluster.gone("deleted").await;
    until(|| (std::fs::read_dir(cluster.dir.path().join("node/pods")).unwrap().count() == 0).then_some(())).await;
    assert_eq!(cluster.runtime.started("a").len(), 2, "neither was started again");
}

#[tokio::test(start_paused = true)]
async fn a_new_pod_never_gets_the_address_of_one_that_is_taken_up() {
    let mut cluster = Cluster::start().await;
    cluster.create_single("old", "Always").await;
    let old = cluster.running("old").await;
    cluster.stop_node().await;
    cluster.create_single("new", "Always").await;
    cluster.start_node();
    let new = cluster.running("new").await;
    assert_ne!(new["status"]["podIP"], old["status"]["podIP"]);
    assert_eq!(cluster.running("old").await["status"]["podIP"], json!(old["status"]["podIP"]));
}

/// As the control plane does with a node that it has not heard of for long.
#[tokio::test(start_paused = true)]
async fn what_others_say_of_the_node_is_put_right() {
    let cluster = Cluster::start().await;
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let is_ready = async || {
        let node = nodes.get("n1").await.unwrap();
        let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
        conditions.into_iter().find(|one| one.type_ == "Ready").map(|one| one.status)
    };
    let begin = Instant::now();
    while is_ready().await.as_deref() != Some("True") {
        assert!(begin.elapsed() < Duration::from_secs(60), "it never registers");
        sleep(Duration::from_millis(100)).await;
    }
    let unknown = json!({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}});
    nodes.patch_status("n1", &PatchParams::default(), &Patch::Strategic(unknown)).await.unwrap();
    assert_eq!(is_ready().await.as_deref(), Some("Unknown"));
    sleep(Duration::from_secs(12)).await;
    assert_eq!(is_ready().await.as_deref(), Some("True"));
}
