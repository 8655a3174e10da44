//! Other resources for Pods that run.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::cluster::{Cluster, until};

async fn resize(cluster: &Cluster, name: &str, resources: Value) {
    let patch = json!({"spec": {"containers": [{"name": "a", "resources": resources}]}});
    let patch = Patch::Strategic(patch);
    let resized: Result<Pod, _> =
        cluster.pods().patch_subresource("resize", name, &PatchParams::default(), &patch).await;
    resized.unwrap();
}

fn condition(pod: &Value, type_: &str) -> Option<Value> {
    let conditions = pod["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == type_).cloned()
}

fn of(cpu: &str, memory: &str) -> Value {
    json!({"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu, "memory": memory}})
}

async fn cluster(policies: Value) -> Cluster {
    let cluster = Cluster::start().await;
    let container = json!({"name": "a", "image": "app", "resources": of("100m", "64Mi"), "resizePolicy": policies});
    cluster.create("p", json!({"restartPolicy": "Always", "containers": [container]})).await;
    cluster.running("p").await;
    cluster
}

#[tokio::test(start_paused = true)]
async fn a_running_container_is_given_what_its_pod_wishes() {
    let cluster = cluster(json!([])).await;
    let container = cluster.container("a", 0).await;
    resize(&cluster, "p", of("200m", "128Mi")).await;
    let pod =
        cluster.pod_when("p", |pod| pod["status"]["containerStatuses"][0]["resources"] == of("200m", "128Mi")).await;
    assert_eq!(pod["status"]["observedGeneration"], pod["metadata"]["generation"]);
    assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 0);
    let limits = *container.limits.lock();
    assert_eq!((limits.memory, limits.cpu_millis, limits.cpu_weight), (Some(128 << 20), Some(200), 200));
    assert!(cluster.events("p").await.contains(&("ResizeCompleted".into(), "Pod resize completed".into())));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_given_is_said_and_taken_back_when_it_can() {
    let cluster = cluster(json!([])).await;
    resize(&cluster, "p", of("9000", "64Mi")).await;
    let pending = |pod: &Value| condition(pod, "PodResizePending").is_some_and(|it| it["reason"] == "Infeasible");
    let pod = cluster.pod_when("p", pending).await;
    let message = condition(&pod, "PodResizePending").unwrap()["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("Node didn't have enough capacity: cpu, requested: 9000000, capacity: "), "{message}");

    // The container of the test double holds a page.
    resize(&cluster, "p", of("100m", "1Ki")).await;
    let in_progress = |pod: &Value| condition(pod, "PodResizeInProgress").is_some();
    let pod = cluster.pod_when("p", in_progress).await;
    assert!(condition(&pod, "PodResizePending").is_none(), "{pod:#}");
    assert_eq!(pod["status"]["containerStatuses"][0]["resources"], of("100m", "64Mi"));

    resize(&cluster, "p", of("100m", "64Mi")).await;
    cluster.pod_when("p", |pod| condition(pod, "PodResizeInProgress").is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_node_makes_a_resize_wait_until_another_pod_is_gone() {
    let cluster = cluster(json!([])).await;
    let cpus = std::thread::available_parallelism().unwrap().get();
    let all = json!([{"name": "b", "image": "app", "resources": of(&cpus.to_string(), "1Mi")}]);
    cluster.create("other", json!({"containers": all})).await;
    cluster.running("other").await;
    resize(&cluster, "p", of("200m", "64Mi")).await;
    let deferred = |pod: &Value| condition(pod, "PodResizePending").is_some_and(|it| it["reason"] == "Deferred");
    cluster.pod_when("p", deferred).await;
    cluster.delete("other", kube::api::DeleteParams::default().grace_period(0)).await;
    cluster.pod_when("p", |pod| pod["status"]["containerStatuses"][0]["resources"] == of("200m", "64Mi")).await;
}

#[tokio::test(start_paused = true)]
async fn neither_a_crash_nor_a_restart_of_the_node_grants_what_there_is_no_room_for() {
    let mut cluster = cluster(json!([])).await;
    resize(&cluster, "p", of("200m", "64Mi")).await;
    cluster.pod_when("p", |pod| pod["status"]["containerStatuses"][0]["resources"] == of("200m", "64Mi")).await;
    resize(&cluster, "p", of("9000", "64Mi")).await;
    let infeasible = |pod: &Value| condition(pod, "PodResizePending").is_some_and(|it| it["reason"] == "Infeasible");
    cluster.pod_when("p", infeasible).await;
    cluster.container("a", 0).await.exit(1);
    assert_eq!(cluster.container("a", 1).await.limits.lock().cpu_millis, Some(200));

    cluster.stop_node().await;
    cluster.start_node();
    let container = cluster.container("a", 2).await;
    assert_eq!(container.limits.lock().cpu_millis, Some(200));
    let again = |pod: &Value| infeasible(pod) && pod["status"]["containerStatuses"][0]["restartCount"] == 2;
    let pod = cluster.pod_when("p", again).await;
    assert_eq!(pod["status"]["containerStatuses"][0]["resources"], of("200m", "64Mi"));

    // Its wish is not counted against others.
    let other = json!([{"name": "b", "image": "app", "resources": of("100m", "64Mi")}]);
    cluster.create("other", json!({"containers": other})).await;
    cluster.running("other").await;
    let patch = json!({"spec": {"containers": [{"name": "b", "resources": of("150m", "64Mi")}]}});
    let (pods, params) = (cluster.pods(), PatchParams::default());
    pods.patch_subresource("resize", "other", &params, &Patch::Strategic(patch)).await.unwrap();
    cluster.pod_when("other", |pod| pod["status"]["containerStatuses"][0]["resources"] == of("150m", "64Mi")).await;
    resize(&cluster, "p", of("300m", "64Mi")).await;
    until(|| (container.limits.lock().cpu_millis == Some(300)).then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn a_container_whose_policy_says_so_is_started_anew() {
    let policies = json!([{"resourceName": "memory", "restartPolicy": "RestartContainer"}]);
    let cluster = cluster(policies).await;
    let first = cluster.container("a", 0).await;
    resize(&cluster, "p", of("200m", "64Mi")).await;
    until(|| (first.limits.lock().cpu_millis == Some(200)).then_some(())).await;
    assert!(!first.has_ended(), "the processor needs no restart");
    resize(&cluster, "p", of("200m", "128Mi")).await;
    let second = cluster.container("a", 1).await;
    assert_eq!(second.limits.lock().memory, Some(128 << 20));
    assert!(first.has_ended());
    cluster.pod_when("p", |pod| pod["status"]["containerStatuses"][0]["restartCount"] == 1).await;
}
