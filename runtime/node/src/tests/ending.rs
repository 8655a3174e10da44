//! How Pods and containers end.

use std::time::Duration;

use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::cluster::{Cluster, until};
use crate::runtime::Exit;

#[tokio::test(start_paused = true)]
async fn a_container_that_ends_ends_the_pod_or_is_started_again() {
    let cluster = Cluster::start().await;
    for (n, (policy, code, phase)) in
        [("Never", 0, "Succeeded"), ("Never", 3, "Failed"), ("OnFailure", 0, "Succeeded")].into_iter().enumerate()
    {
        let name = format!("p{n}");
        cluster.create_single(&name, policy).await;
        cluster.container("a", n).await.exit(code);
        let pod = cluster.pod_when(&name, |pod| pod["status"]["phase"] == phase).await;
        assert_eq!(pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], code);
        assert_eq!(pod["status"]["conditions"][2]["reason"], if code == 0 { "PodCompleted" } else { "PodFailed" });
    }
    assert_eq!(cluster.runtime.started("a").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_restarts_at_once_then_after_10_and_20_seconds() {
    let cluster = Cluster::start().await;
    cluster.create_single("p", "Always").await;
    let mut waits = Vec::new();
    for n in 0..4 {
        let container = cluster.container("a", n).await;
        let at = tokio::time::Instant::now();
        container.end(Exit { code: 137, oom_killed: true, message: None });
        cluster.container("a", n + 1).await;
        waits.push(at.elapsed().as_secs());
    }
    assert_eq!(waits, [0, 10, 20, 40]);
    let pod = cluster.pod_when("p", |pod| pod["status"]["containerStatuses"][0]["restartCount"] == 4).await;
    let last = &pod["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!((&last["reason"], &last["exitCode"]), (&json!("OOMKilled"), &json!(137)));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_server_goes_on_answering_for_a_moment_then_ends_and_leaves_nothing() {
    let cluster = Cluster::start().await;
    cluster.runtime.serve("web");
    cluster.create("p", json!({"containers": [{"name": "web", "image": "app"}]})).await;
    let pod = cluster.running("p").await;
    let address = format!("{}:8080", pod["status"]["podIP"].as_str().unwrap()).parse().unwrap();
    let container = cluster.container("web", 0).await;

    cluster.delete("p", DeleteParams::default()).await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert!(cluster.mesh.endpoints().lookup(address).is_some() && !container.has_ended());
    cluster.gone("p").await;
    assert!(container.has_ended());
    until(|| cluster.mesh.endpoints().lookup(address).is_none().then_some(())).await;
    until(|| std::fs::read_dir(cluster.dir.path().join("node/pods")).unwrap().next().is_none().then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_command_has_its_grace_and_its_end_is_reported_first() {
    let cluster = Cluster::start().await;
    cluster.create_single("p", "Always").await;
    cluster.running("p").await;
    let at = tokio::time::Instant::now();
    cluster.delete("p", DeleteParams::default().grace_period(7)).await;
    cluster.gone("p").await;
    assert!((6..10).contains(&at.elapsed().as_secs()), "{:?}", at.elapsed());
    assert!(cluster.container("a", 0).await.has_ended());
    let killing = ("Killing".to_owned(), "Stopping container a".to_owned());
    assert!(cluster.events("p").await.contains(&killing));
}

#[tokio::test(start_paused = true)]
async fn a_shorter_grace_and_a_forced_deletion_end_it_sooner() {
    let cluster = Cluster::start().await;
    for (name, second) in [("p0", 2), ("p1", 0)] {
        cluster.create_single(name, "Always").await;
        cluster.running(name).await;
        cluster.delete(name, DeleteParams::default().grace_period(600)).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let at = tokio::time::Instant::now();
        cluster.delete(name, DeleteParams::default().grace_period(second)).await;
        cluster.gone(name).await;
        assert!(at.elapsed() < Duration::from_secs(6), "{name}: {:?}", at.elapsed());
    }
    until(|| cluster.runtime.started("a").iter().all(|container| container.has_ended()).then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_never_started_is_deleted_at_once() {
    let cluster = Cluster::start().await;
    cluster.create("p", json!({"containers": [{"name": "a", "image": "absent:1"}]})).await;
    cluster.pod_when("p", |pod| !pod["status"]["containerStatuses"].is_null()).await;
    cluster.delete("p", DeleteParams::default()).await;
    cluster.gone("p").await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_comes_back_is_another_pod() {
    let cluster = Cluster::start().await;
    let first = cluster.create_single("p", "Always").await;
    cluster.running("p").await;
    cluster.delete("p", DeleteParams::default().grace_period(0)).await;
    let second = cluster.create_single("p", "Always").await;
    assert_ne!(first.metadata.uid, second.metadata.uid);
    let is_second = |pod: &Value| pod["metadata"]["uid"] == json!(second.metadata.uid);
    cluster.pod_when("p", |pod| is_second(pod) && pod["status"]["phase"] == "Running").await;
    until(|| cluster.runtime.started("a")[0].has_ended().then_some(())).await;
    assert!(!cluster.container("a", 1).await.has_ended());
}
