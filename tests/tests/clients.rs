//! Clients that are programs: kube-rs and the Python client, each through the same scenario: create, watch, an update that
//! conflicts, delete. And each through a port of a Pod.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use carob_tests::{Cluster, Kubectl, manifests, python};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};

async fn client(cluster: &Cluster) -> Client {
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

fn config_map(name: &str, value: &str) -> ConfigMap {
    serde_json::from_value(serde_json::json!({"metadata": {"name": name}, "data": {"key": value}})).unwrap()
}

/// The kind of event, the object's name, its value.
fn told(event: &WatchEvent<ConfigMap>) -> (&'static str, String, String) {
    let of = |kind, object: &ConfigMap| {
        let value = object.data.as_ref().and_then(|data| data.get("key")).cloned().unwrap_or_default();
        (kind, object.name_any(), value)
    };
    match event {
        WatchEvent::Added(object) => of("added", object),
        WatchEvent::Modified(object) => of("modified", object),
        WatchEvent::Deleted(object) => of("deleted", object),
        other => panic!("no event is expected but changes: {other:?}"),
    }
}

#[tokio::test]
async fn kube_rs_over_tls() {
    create_watch_conflict_delete(client(Cluster::shared()).await).await;
}

async fn create_watch_conflict_delete(client: Client) {
    let namespace = serde_json::from_value(serde_json::json!({"metadata": {"name": "kube-rs"}})).unwrap();
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(client, "kube-rs");
    let start = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let only_a = WatchParams::default().fields("metadata.name=a");
    let mut watch = maps.watch(&only_a, &start).await.unwrap().boxed();

    let created = maps.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    let mut changed = created.clone();
    changed.data = config_map("a", "2").data;
    let changed = maps.replace("a", &PostParams::default(), &changed).await.unwrap();
    assert_ne!(changed.resource_version(), created.resource_version());
    let conflict = maps.replace("a", &PostParams::default(), &created).await.unwrap_err();
    assert!(
        matches!(&conflict, kube::Error::Api(status) if status.code == 409 && status.reason == "Conflict"),
        "{conflict}"
    );
    let patch = Patch::Merge(serde_json::json!({"data": {"key": "3"}}));
    maps.patch("a", &PatchParams::default(), &patch).await.unwrap();
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    let missing = maps.get("a").await.unwrap_err();
    assert!(
        matches!(&missing, kube::Error::Api(status) if status.code == 404 && status.reason == "NotFound"),
        "{missing}"
    );

    for expected in [("added", "1"), ("modified", "2"), ("modified", "3"), ("deleted", "3")] {
        let event = watch.try_next().await.unwrap().unwrap();
        assert_eq!(told(&event), (expected.0, "a".to_owned(), expected.1.to_owned()));
    }
}

#[tokio::test]
async fn nobody_is_let_in_without_a_certificate() {
    let kubeconfig = Kubeconfig::read_from(Cluster::shared().kubeconfig()).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.auth_info = kube::config::AuthInfo::default();
    let client = Client::try_from(config).unwrap();
    let refused = client.list_core_api_versions().await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.code == 401), "{refused}");
    let health = http::Request::get("/readyz").body(Vec::new()).unwrap();
    assert_eq!(client.request_text(health).await.unwrap(), "ok");
}

#[test]
fn python_creates_watches_conflicts_and_deletes() {
    let cluster = Cluster::shared();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/scenario.py");
    let output = Command::new(python()).arg(script).arg(cluster.kubeconfig()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(text(&output.stdout), "ADDED 1\nMODIFIED 2\nconflict 409\nMODIFIED 3\nDELETED 3\ngone 404\n");
}

/// A Pod that answers HTTP at 8080, in a namespace of its own.
fn server(namespace: &str) -> Kubectl {
    let kubectl = Cluster::shared().namespace(namespace);
    kubectl.apply(&manifests::server("web"));
    kubectl.run(&["wait", "pod/web", "--for=condition=Ready", "--timeout=120s"]);
    kubectl
}

#[test]
fn python_reaches_the_port_of_a_pod_and_is_told_of_one_that_is_closed() {
    let _kubectl = server("python-ports");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/portforward.py");
    let mut command = Command::new(python());
    command.arg(script).arg(Cluster::shared().kubeconfig()).args(["python-ports", "web"]);
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let told = text(&output.stdout);
    assert!(told.starts_with("HTTP/1.1 200 OK Hello, world!\n"), "{told}");
    assert!(told.contains("error forwarding port 9 to pod: the connection was refused"), "{told}");
}
