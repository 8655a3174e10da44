//! From a Pod on paper to a running one.

use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use futures::future::ready;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kube::Api;
use kube::api::{PostParams, WatchEvent, WatchParams};
use serde_json::json;

use super::cluster::{Cluster, until};

#[tokio::test(start_paused = true)]
async fn the_node_registers_and_renews_its_lease() {
    let cluster = Cluster::start().await;
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let leases: Api<Lease> = Api::namespaced(cluster.client.clone(), "kube-node-lease");
    tokio::time::sleep(Duration::from_secs(3)).await;

    let node = json!(nodes.get("n1").await.unwrap());
    assert_eq!(node["status"]["conditions"][3]["type"], "Ready");
    assert_eq!(node["status"]["conditions"][3]["status"], "True");
    assert_eq!(node["status"]["capacity"]["pods"], "10000");
    let renewals = async || leases.get("n1").await.unwrap().metadata.resource_version;
    let first = renewals().await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_ne!(renewals().await, first);
    let again = json!(nodes.get("n1").await.unwrap());
    assert_eq!(node["metadata"]["resourceVersion"], again["metadata"]["resourceVersion"], "heartbeats are cheap");
}

#[tokio::test(start_paused = true)]
async fn an_http_pod_is_reported_ready_in_one_write_and_answers_at_its_address() {
    let cluster = Cluster::start().await;
    cluster.runtime.serve("web");
    let ports = json!([{"containerPort": 80}, {"containerPort": 81}]);
    let created = cluster.create("p", json!({"containers": [{"name": "web", "image": "app", "ports": ports}]})).await;
    let pod = cluster.running("p").await;

    let status = &pod["status"]["containerStatuses"][0];
    assert_eq!((&status["ready"], &status["restartCount"]), (&json!(true), &json!(0)));
    assert!(status["imageID"].as_str().unwrap().starts_with("sha256:"));
    assert!(status["containerID"].as_str().unwrap().starts_with("wasmtime://"));
    assert_eq!(pod["status"]["hostIP"], "127.0.0.1");
    let ip: std::net::IpAddr = pod["status"]["podIP"].as_str().unwrap().parse().unwrap();
    for (port, open) in [(80, true), (81, true), (8080, false)] {
        assert_eq!(cluster.mesh.endpoints().lookup(SocketAddr::new(ip, port)).is_some(), open, "{port}");
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let version = created.metadata.resource_version.unwrap();
    let writes = cluster.pods().watch(&WatchParams::default().timeout(1), &version).await.unwrap();
    let writes = writes.filter(|event| ready(matches!(event, Ok(WatchEvent::Modified(_))))).count().await;
    assert_eq!(writes, 1);
}

#[tokio::test(start_paused = true)]
async fn arguments_and_environment_reach_the_container_once_they_are_there() {
    let cluster = Cluster::start().await;
    let env = json!([
        {"name": "FROM_CM", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ]);
    let args = json!(["--value", "$(FROM_CM)"]);
    cluster.create("p", json!({"containers": [{"name": "a", "image": "app", "env": env, "args": args}]})).await;
    let pod = cluster.pod_when("p", |pod| !pod["status"]["containerStatuses"].is_null()).await;
    let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
    assert_eq!(waiting["reason"], "CreateContainerConfigError");
    assert_eq!(waiting["message"], "configmap \"cm\" not found");

    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client.clone());
    let map = serde_json::from_value(json!({"metadata": {"name": "cm"}, "data": {"k": "v"}})).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    let pod = cluster.running("p").await;
    let container = cluster.container("a", 0).await;
    assert_eq!(container.args, ["a", "--value", "v"]);
    let ip = ("IP".to_owned(), pod["status"]["podIP"].as_str().unwrap().to_owned());
    assert!(container.env.contains(&ip), "{:?}", container.env);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_absent_is_waited_for_and_taken_when_it_comes() {
    let cluster = Cluster::start().await;
    cluster.create("p", json!({"containers": [{"name": "a", "image": "late:1"}]})).await;
    let reason = |pod: &serde_json::Value| pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"].clone();
    let pod = cluster.pod_when("p", |pod| reason(pod) == "ErrImagePull").await;
    let message = pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"].as_str().unwrap();
    assert!(message.contains("carob image load FILE --tag late:1"), "{message}");
    cluster.pod_when("p", |pod| reason(pod) == "ImagePullBackOff").await;

    tokio::time::sleep(Duration::from_secs(1000)).await;
    let at = tokio::time::Instant::now();
    cluster.images.load(b"\0asm\x01\0\0\0", "late:1").unwrap();
    cluster.running("p").await;
    assert!(at.elapsed() < Duration::from_secs(5), "it does not sit out its back-off");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_start_says_why() {
    let cluster = Cluster::start().await;
    cluster.runtime.fail("a", "component imports instance `x:y/z`, but a matching implementation was not found");
    cluster.create_single("linker", "Always").await;
    let never = json!({"containers": [{"name": "n", "image": "no:1", "imagePullPolicy": "Never"}]});
    cluster.create("never", never).await;
    for (pod, reason, message) in [
        ("linker", "CreateContainerError", "component imports instance `x:y/z`"),
        ("never", "ErrImageNeverPull", "is not present with pull policy of Never"),
    ] {
        let found = cluster.pod_when(pod, |pod| !pod["status"]["containerStatuses"].is_null()).await;
        let waiting = &found["status"]["containerStatuses"][0]["state"]["waiting"];
        assert_eq!(waiting["reason"], reason);
        assert!(waiting["message"].as_str().unwrap().contains(message), "{waiting}");
        assert_eq!(found["status"]["phase"], "Pending");
    }
}

#[tokio::test(start_paused = true)]
async fn a_readiness_probe_is_asked_in_process_and_its_failures_are_told() {
    let cluster = Cluster::start().await;
    cluster.runtime.serve("web");
    let probe = json!({"httpGet": {"port": 80, "path": "/ready"}, "periodSeconds": 5, "failureThreshold": 1});
    let container = json!({"name": "web", "image": "app", "ports": [{"containerPort": 80}], "readinessProbe": probe});
    cluster.create("p", json!({"containers": [container]})).await;
    let ready = |pod: &serde_json::Value| pod["status"]["containerStatuses"][0]["ready"] == true;
    cluster.pod_when("p", ready).await;

    *cluster.container("web", 0).await.status.lock() = http::StatusCode::SERVICE_UNAVAILABLE;
    cluster.pod_when("p", |pod| !ready(pod)).await;
    let told = ("Unhealthy".to_owned(), "Readiness probe failed: HTTP probe failed with statuscode: 503".to_owned());
    assert!(cluster.events("p").await.contains(&told));

    *cluster.container("web", 0).await.status.lock() = http::StatusCode::OK;
    cluster.pod_when("p", ready).await;
}

#[tokio::test(start_paused = true)]
async fn init_containers_end_before_the_others_begin() {
    let cluster = Cluster::start().await;
    let spec = json!({
        "initContainers": [{"name": "i1", "image": "app"}, {"name": "i2", "image": "app"}],
        "containers": [{"name": "a", "image": "app"}]
    });
    cluster.create("p", spec).await;
    for init in ["i1", "i2"] {
        let container = cluster.container(init, 0).await;
        assert!(cluster.runtime.started("a").is_empty());
        container.exit(0);
    }
    let pod = cluster.running("p").await;
    assert_eq!(pod["status"]["initContainerStatuses"][1]["state"]["terminated"]["reason"], "Completed");
}

#[tokio::test(start_paused = true)]
async fn events_tell_a_containers_life_in_kubernetes_words() {
    let cluster = Cluster::start().await;
    cluster.create_single("p", "Always").await;
    for n in 0..2 {
        cluster.container("a", n).await.exit(1);
    }
    cluster
        .pod_when("p", |pod| pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 1)
        .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let events = cluster.events("p").await;
    for (reason, message) in [
        ("Pulled", "Container image \"app\" already present on machine"),
        ("Created", "Created container: a"),
        ("Started", "Started container a"),
        ("BackOff", "Back-off restarting failed container a in pod p_default("),
    ] {
        assert!(events.iter().any(|(r, m)| r == reason && m.starts_with(message)), "{reason}: {events:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_pods_have_a_hundred_addresses() {
    let cluster = Cluster::start().await;
    for n in 0..100 {
        cluster.create_single(&format!("p{n}"), "Always").await;
    }
    until(|| (cluster.runtime.started("a").len() == 100).then_some(())).await;
    let mut addresses = std::collections::BTreeSet::new();
    for n in 0..100 {
        addresses.insert(cluster.running(&format!("p{n}")).await["status"]["podIP"].to_string());
    }
    assert_eq!(addresses.len(), 100);
}
