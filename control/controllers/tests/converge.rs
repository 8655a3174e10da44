//! Whatever happens to their requests, the controllers end in the same state.

mod support;

use kube::api::DeleteParams;
use serde_json::{Value, json};
use support::{Cluster, Faults, deployment, eventually, namespace, service, template};

/// A day in the life of a cluster, not always waiting for one thing to be done before the next begins.
async fn live(cluster: &Cluster) {
    cluster.apply(namespace("app")).await;
    cluster.apply(namespace("doomed")).await;
    cluster.apply(service("app", "web")).await;
    cluster.apply(deployment("app", "web", 4, "v1")).await;
    cluster
        .apply(json!({
            "apiVersion": "v1", "kind": "ReplicationController", "metadata": { "namespace": "app", "name": "plain" },
            "spec": { "replicas": 2, "selector": { "app": "plain" }, "template": template("plain", "v1") },
        }))
        .await;
    cluster.rolled_out("app", "web").await;
    cluster.apply(deployment("app", "web", 4, "v2")).await;
    cluster.apply(deployment("app", "web", 7, "v2")).await;
    cluster.apply(deployment("app", "web", 7, "v3")).await;

    for name in ["foreground", "background", "orphan"] {
        cluster.apply(deployment("app", name, 2, "v1")).await;
        cluster.rolled_out("app", name).await;
    }
    cluster.delete("Deployment", "app", "foreground", DeleteParams::foreground()).await;
    cluster.delete("Deployment", "app", "background", DeleteParams::background()).await;
    cluster.delete("Deployment", "app", "orphan", DeleteParams::orphan()).await;

    let mut recreated = deployment("app", "recreated", 2, "v1");
    recreated["spec"]["strategy"] = json!({ "type": "Recreate", "rollingUpdate": null });
    cluster.apply(recreated.clone()).await;
    cluster.rolled_out("app", "recreated").await;
    recreated["spec"]["template"] = template("recreated", "v2");
    cluster.apply(recreated).await;

    cluster.apply(deployment("doomed", "web", 2, "v1")).await;
    cluster
        .apply(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "namespace": "doomed", "name": "c" } }))
        .await;
    cluster.delete("Namespace", "", "doomed", DeleteParams::default()).await;
}

/// What there is, without what may differ: names that are made up, times, how it came about.
async fn state(cluster: &Cluster) -> Value {
    let pods = cluster.list("Pod", "").await;
    let mut running: Vec<String> = pods
        .iter()
        .map(|pod| {
            let ending = if pod["metadata"]["deletionTimestamp"].is_null() { "" } else { " ending" };
            let of = pod["metadata"]["labels"]["app"].as_str().unwrap_or_default();
            format!("{of} {} {}{ending}", pod["spec"]["containers"][0]["image"], pod["status"]["phase"])
        })
        .collect();
    running.sort();
    let mut sets: Vec<String> = cluster
        .list("ReplicaSet", "")
        .await
        .iter()
        .filter(|set| set["spec"]["replicas"] != 0)
        .map(|set| {
            let owner = set["metadata"]["ownerReferences"][0]["kind"].as_str().unwrap_or("nobody");
            format!("{} {} {}", set["metadata"]["labels"]["app"], set["status"]["availableReplicas"], owner)
        })
        .collect();
    sets.sort();
    let slices = cluster.list("EndpointSlice", "app").await;
    let addresses = cluster.get("Endpoints", "app", "web").await["subsets"][0]["addresses"].clone();
    json!({
        "pods": running,
        "sets": sets,
        "endpoints": slices.iter().map(|slice| slice["endpoints"].as_array().map_or(0, Vec::len)).sum::<usize>(),
        "addresses": addresses.as_array().map_or(0, Vec::len),
        "plain": cluster.get("ReplicationController", "app", "plain").await["status"]["readyReplicas"],
        "doomed": cluster.get("Namespace", "", "doomed").await,
        "account": cluster.get("ServiceAccount", "app", "default").await["metadata"]["name"],
        "ca": cluster.get("ConfigMap", "app", "kube-root-ca.crt").await["data"]["ca.crt"].as_str().and_then(|pem| pem.lines().next()),
    })
}

fn expected() -> Value {
    let pods = |of: &str, image: &str, count| vec![format!("{of} \"{image}\" \"Running\""); count];
    let all =
        [pods("orphan", "v1", 2), pods("plain", "v1", 2), pods("recreated", "v2", 2), pods("web", "v3", 7)].concat();
    json!({
        "pods": all,
        "sets": ["\"orphan\" 2 nobody", "\"recreated\" 2 Deployment", "\"web\" 7 Deployment"],
        "endpoints": 7,
        "addresses": 7,
        "plain": 2,
        "doomed": null,
        "account": "default",
        "ca": "-----BEGIN CERTIFICATE-----",
    })
}

async fn converges(faults: Faults) {
    let cluster = Cluster::with(faults).await;
    live(&cluster).await;
    eventually("the expected state", || async { state(&cluster).await == expected() }).await;
    // And it stays: nobody goes on working at what is done.
    tokio::time::sleep(std::time::Duration::from_secs(120)).await;
    assert_eq!(state(&cluster).await, expected());
}

#[tokio::test(start_paused = true)]
async fn without_faults() {
    converges(Faults::none()).await;
}

#[tokio::test(start_paused = true)]
async fn with_some_faults() {
    for seed in 1..=4 {
        converges(Faults::seeded(seed, 3)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn with_many_faults() {
    for seed in 11..=14 {
        converges(Faults::seeded(seed, 12)).await;
    }
}
