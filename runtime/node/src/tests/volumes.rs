//! Volumes, as far as a node without guests can show them.

use std::fs;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::cluster::{Cluster, until};

fn mounting(volume: Value, at: &str) -> Value {
    let mut volume = volume;
    volume["name"] = json!("v");
    let container = json!({"name": "a", "image": "app", "volumeMounts": [{"name": "v", "mountPath": at}]});
    json!({"containers": [container], "volumes": [volume]})
}

/// The folder of the Pod's volume `v`.
fn folder(cluster: &Cluster, pod: &Value) -> PathBuf {
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    cluster.dir.path().join(format!("node/pods/default_p_{uid}/.volumes/v"))
}

async fn put_config_map(cluster: &Cluster, data: Value) {
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client.clone());
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": data});
    if maps.patch("cm", &PatchParams::default(), &Patch::Merge(&map)).await.is_err() {
        maps.create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_config_map_is_told_waited_for_and_followed() {
    let cluster = Cluster::start().await;
    cluster.create("p", mounting(json!({"configMap": {"name": "cm"}}), "/etc/app")).await;
    let words = "MountVolume.SetUp failed for volume \"v\" : configmap \"cm\" not found";
    cluster.event("p", "FailedMount", words).await;
    let pod = cluster.pod_when("p", |pod| !pod["status"]["containerStatuses"].is_null()).await;
    assert_eq!(pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"], "ContainerCreating");
    assert!(cluster.runtime.started("a").is_empty());

    put_config_map(&cluster, json!({"k": "one", "gone": "x"})).await;
    let pod = cluster.running("p").await;
    let folder = folder(&cluster, &pod);
    assert_eq!(fs::read_to_string(folder.join("k")).unwrap(), "one");
    let mounts = format!("{:?}", cluster.container("a", 0).await.mounts);
    assert!(mounts.contains(&format!("{} on /etc/app (ro)", folder.display())), "{mounts}");
    assert!(mounts.contains(" on / (ro)"), "{mounts}");

    put_config_map(&cluster, json!({"k": "two", "gone": null})).await;
    until(|| (fs::read_to_string(folder.join("k")).ok()? == "two").then_some(())).await;
    until(|| (!folder.join("gone").exists()).then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn a_volume_outlives_containers_and_the_node_but_not_the_pod() {
    let mut cluster = Cluster::start().await;
    cluster.create("p", mounting(json!({"emptyDir": {}}), "/data")).await;
    let pod = cluster.running("p").await;
    let file = folder(&cluster, &pod).join("file");
    fs::write(&file, "kept").unwrap();
    let (_, summary) = cluster.kubelet("/stats/summary").await;
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let volume = &summary["pods"][0]["volume"][0];
    assert_eq!((&volume["name"], &volume["inodesUsed"]), (&json!("v"), &json!(1)));
    assert!(volume["usedBytes"].as_u64().unwrap() >= 512, "{volume}");
    cluster.container("a", 0).await.exit(1);
    cluster.container("a", 1).await;
    assert!(file.exists());

    cluster.stop_node().await;
    cluster.start_node();
    cluster.container("a", 2).await;
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
    cluster.delete("p", DeleteParams::default().grace_period(0)).await;
    until(|| (!file.exists()).then_some(())).await;
    until(|| fs::read_dir(cluster.dir.path().join("node/pods")).unwrap().next().is_none().then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn a_projected_volume_has_all_its_sources() {
    let cluster = Cluster::start().await;
    let secrets: Api<Secret> = Api::default_namespaced(cluster.client.clone());
    let secret = json!({"metadata": {"name": "s"}, "stringData": {"password": "p"}});
    secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
    put_config_map(&cluster, json!({"k": "v"})).await;
    let sources = json!([
        {"secret": {"name": "s", "items": [{"key": "password", "path": "deep/password", "mode": 0o400}]}},
        {"configMap": {"name": "cm"}},
        {"configMap": {"name": "absent", "optional": true}},
        {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
    ]);
    cluster.create("p", mounting(json!({"projected": {"sources": sources}}), "/all")).await;
    let folder = folder(&cluster, &cluster.running("p").await);
    for (path, content) in [("deep/password", "p"), ("k", "v"), ("name", "p")] {
        assert_eq!(fs::read_to_string(folder.join(path)).unwrap(), content, "{path}");
    }
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(folder.join("deep/password")).unwrap().permissions().mode() & 0o777, 0o400);
}

#[tokio::test(start_paused = true)]
async fn a_host_path_of_the_wrong_type_and_a_bad_sub_path_say_why() {
    let cluster = Cluster::start().await;
    let file = cluster.dir.path().join("host-file");
    fs::write(&file, "x").unwrap();
    cluster.create("p", mounting(json!({"hostPath": {"path": file, "type": "Directory"}}), "/h")).await;
    let message = format!(
        "MountVolume.SetUp failed for volume \"v\" : hostPath type check failed: {} is not a directory",
        file.display()
    );
    cluster.event("p", "FailedMount", &message).await;
    cluster.delete("p", DeleteParams::default().grace_period(0)).await;

    let mut spec = mounting(json!({"emptyDir": {}}), "/data");
    spec["containers"][0]["volumeMounts"][0]["subPathExpr"] = json!("$(NO)/x");
    cluster.create("q", spec).await;
    let waits = |pod: &Value| {
        let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
        waiting["reason"] == "CreateContainerConfigError"
            && waiting["message"].as_str().is_some_and(|message| message.contains("missing value for \"NO\""))
    };
    cluster.pod_when("q", waits).await;
}
