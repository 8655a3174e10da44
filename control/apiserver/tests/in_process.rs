//! kube-rs drives the server without a socket: create, watch, conflict, delete.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
    runtime::{WatchStreamExt, reflector, watcher},
};
use serde_json::json;
use support::{Server, map};

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(map(name)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn create_watch_conflict_delete() {
    let server = Server::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(server.kube());
    let created = maps.create(&PostParams::default(), &config_map("a")).await.unwrap();
    let version = created.resource_version().unwrap();
    let mut events = maps.watch(&WatchParams::default(), &version).await.unwrap().boxed();

    let mut newer = created.clone();
    newer.data = Some([("k".to_owned(), "w".to_owned())].into());
    maps.replace("a", &PostParams::default(), &newer).await.unwrap();
    let conflict = maps.replace("a", &PostParams::default(), &created).await.unwrap_err();
    assert!(matches!(&conflict, kube::Error::Api(status) if status.code == 409 && status.reason == "Conflict"));

    let patch = Patch::Merge(json!({ "data": { "k": "x" } }));
    let patched = maps.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.data.unwrap()["k"], "x");
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(maps.get_opt("a").await.unwrap().is_none());

    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(match events.try_next().await.unwrap().unwrap() {
            WatchEvent::Modified(map) => format!("modified {}", map.data.unwrap()["k"]),
            WatchEvent::Deleted(map) => format!("deleted {}", map.data.unwrap()["k"]),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(seen, ["modified w", "modified x", "deleted x"]);
}

#[tokio::test(start_paused = true)]
async fn a_reflector_follows_by_list_and_by_stream() {
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let server = Server::start().await;
        let maps: Api<ConfigMap> = Api::default_namespaced(server.kube());
        maps.create(&PostParams::default(), &config_map("first")).await.unwrap();
        let (reader, writer) = reflector::store();
        let mut events = watcher(maps.clone(), config).reflect(writer).applied_objects().boxed();
        assert_eq!(events.try_next().await.unwrap().unwrap().name_any(), "first");
        maps.create(&PostParams::default(), &config_map("second")).await.unwrap();
        assert_eq!(events.try_next().await.unwrap().unwrap().name_any(), "second");
        assert_eq!(reader.state().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn typed_objects_come_back_as_they_were_sent() {
    let server = Server::start().await;
    let pods: Api<Pod> = Api::default_namespaced(server.kube());
    let pod: Pod = serde_json::from_value(support::pod("a")).unwrap();
    let created = pods.create(&PostParams::default(), &pod).await.unwrap();
    assert_eq!(created.spec.as_ref().unwrap().containers[0].image.as_deref(), Some("hello"));
    let status = json!({ "status": { "phase": "Running" } });
    pods.patch_status("a", &PatchParams::default(), &Patch::Strategic(status)).await.unwrap();
    let listed = pods.list(&ListParams::default().fields("status.phase=Running")).await.unwrap();
    assert_eq!(listed.items.len(), 1);
}
