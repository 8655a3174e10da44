//! What a node takes up again after it was away.

use kube::api::DeleteParams;
use serde_json::json;

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
