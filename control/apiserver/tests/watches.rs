//! Watches: where they begin, what they tell, how they end.

mod support;

use carob_store::Store;
use futures::FutureExt;
use http::Method;
use serde_json::json;
use support::{MAPS, Server, labelled, map};

fn told(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_watch_goes_on_from_a_revision() {
    let server = Server::start().await;
    let a = server.post(MAPS, &map("a")).await.expect(201).version().to_owned();
    server.post(MAPS, &map("b")).await.expect(201);
    let mut watch = server.watch(&format!("{MAPS}?watch=1&resourceVersion={a}")).await;
    assert_eq!(watch.next_name().await, told("ADDED", "b"));
    server.patch(&format!("{MAPS}/a"), "merge-patch", &json!({ "data": { "k": "2" } })).await.expect(200);
    assert_eq!(watch.next_name().await, told("MODIFIED", "a"));
    let before = server.get(&format!("{MAPS}/a")).await.body;
    server.delete(&format!("{MAPS}/a")).await.expect(200);
    let gone = watch.next().await.unwrap();
    assert_eq!(gone["type"], "DELETED");
    assert_eq!(gone["object"]["data"], before["data"]);
    let version = |object: &serde_json::Value| -> u64 {
        object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
    };
    assert!(version(&gone["object"]) > version(&before), "a deletion has a revision of its own");
    server.post("/api/v1/namespaces/kube-system/configmaps", &map("elsewhere")).await.expect(201);
    assert!(watch.next().now_or_never().is_none(), "another namespace is not told of");
}

#[tokio::test(start_paused = true)]
async fn without_a_revision_what_is_there_comes_first() {
    let server = Server::start().await;
    server.post(MAPS, &map("a")).await.expect(201);
    for query in ["", "&resourceVersion=0", "&resourceVersion="] {
        let mut watch = server.watch(&format!("{MAPS}?watch=true{query}")).await;
        assert_eq!(watch.next_name().await, told("ADDED", "a"), "{query}");
        assert!(watch.next().now_or_never().is_none());
    }
    let mut one = server.watch(&format!("{MAPS}/a?watch=true")).await;
    assert_eq!(one.next_name().await, told("ADDED", "a"));
}

#[tokio::test(start_paused = true)]
async fn objects_come_into_a_selection_and_leave_it() {
    let server = Server::start().await;
    server.post(MAPS, &labelled("a", "web")).await.expect(201);
    let mut watch = server.watch(&format!("{MAPS}?watch=1&labelSelector=app%3Dweb")).await;
    assert_eq!(watch.next_name().await, told("ADDED", "a"));
    let label = |app: &str| json!({ "metadata": { "labels": { "app": app } } });
    let path = format!("{MAPS}/a");
    server.patch(&path, "merge-patch", &label("db")).await.expect(200);
    let left = watch.next().await.unwrap();
    assert_eq!(left["type"], "DELETED");
    assert_eq!(left["object"]["metadata"]["labels"]["app"], "web", "shown as it was in the selection");
    let moved = server.patch(&path, "merge-patch", &label("web")).await.expect(200).body;
    let back = watch.next().await.unwrap();
    assert_eq!((&back["type"], &back["object"]), (&json!("ADDED"), &moved));
    server.post(MAPS, &labelled("b", "db")).await.expect(201);
    assert!(watch.next().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_first_objects_can_be_streamed_with_their_end() {
    let server = Server::start().await;
    let a = server.post(MAPS, &map("a")).await.expect(201).version().to_owned();
    let query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = server.watch(&format!("{MAPS}?{query}")).await;
    assert_eq!(watch.next_name().await, told("ADDED", "a"));
    let end = watch.next().await.unwrap();
    assert_eq!(end["type"], "BOOKMARK");
    assert_eq!(end["object"]["kind"], "ConfigMap");
    assert_eq!(end["object"]["metadata"]["annotations"], json!({ "k8s.io/initial-events-end": "true" }));
    assert_eq!(end["object"]["metadata"]["resourceVersion"], a);
    server.post(MAPS, &map("b")).await.expect(201);
    assert_eq!(watch.next_name().await, told("ADDED", "b"));
    let none = "watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan";
    let mut watch = server.watch(&format!("{MAPS}?{none}")).await;
    assert!(watch.next().now_or_never().is_none());
    for query in ["watch=1&sendInitialEvents=true", "watch=1&resourceVersion=1&resourceVersionMatch=Exact"] {
        server.get(&format!("{MAPS}?{query}")).await.expect(422);
    }
}

#[tokio::test(start_paused = true)]
async fn bookmarks_tell_how_far_it_is_and_the_timeout_is_kept() {
    let server = Server::start().await;
    let began = tokio::time::Instant::now();
    let mut watch = server.watch(&format!("{MAPS}?watch=1&allowWatchBookmarks=true&timeoutSeconds=90")).await;
    let other = server.post("/api/v1/namespaces/default/secrets", &json!({ "metadata": { "name": "s" } })).await;
    let other = other.expect(201).version().to_owned();
    for _ in 0..2 {
        let bookmark = watch.next().await.unwrap();
        assert_eq!(bookmark["type"], "BOOKMARK");
        assert_eq!(bookmark["object"]["metadata"]["resourceVersion"], other, "other resources move it on too");
    }
    assert!(watch.next().await.is_none());
    assert_eq!(began.elapsed().as_secs(), 90);
    let mut silent = server.watch(&format!("{MAPS}?watch=1&timeoutSeconds=90")).await;
    assert!(silent.next().await.is_none(), "nobody asked for bookmarks");
}

#[tokio::test(start_paused = true)]
async fn history_is_watched_until_it_is_compacted() {
    let server = Server::start().await;
    let a = server.post(MAPS, &map("a")).await.expect(201).version().to_owned();
    server.delete(&format!("{MAPS}/a")).await.expect(200);
    // A server that starts later has no changes in memory; the store has.
    let api = carob_apiserver::ApiServer::new(server.store.clone(), Default::default()).await.unwrap();
    let later = Server { api, store: server.store.clone() };
    let path = format!("{MAPS}?watch=1&resourceVersion={a}");
    let mut watch = later.watch(&path).await;
    assert_eq!(watch.next_name().await, told("DELETED", "a"));
    later.post(MAPS, &map("b")).await.expect(201);
    assert_eq!(watch.next_name().await, told("ADDED", "b"));

    server.store.compact(server.store.revision()).await.unwrap();
    let api = carob_apiserver::ApiServer::new(server.store.clone(), Default::default()).await.unwrap();
    let latest = Server { api, store: server.store.clone() };
    let mut watch = latest.watch(&path).await;
    let error = watch.next().await.unwrap();
    assert_eq!(error["type"], "ERROR");
    assert_eq!((&error["object"]["code"], &error["object"]["reason"]), (&json!(410), &json!("Expired")));
    assert!(watch.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_slow_watcher_loses_its_place() {
    let server = Server::start().await;
    server.post(MAPS, &map("a")).await.expect(201);
    let mut watch = server.watch(&format!("{MAPS}?watch=1")).await;
    assert_eq!(watch.next_name().await, told("ADDED", "a"));
    for n in 0..9_000 {
        let patch = json!({ "data": { "k": n.to_string() } });
        server.patch(&format!("{MAPS}/a"), "merge-patch", &patch).await.expect(200);
    }
    let error = watch.next().await.unwrap();
    assert_eq!((&error["type"], &error["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert!(watch.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_table_is_watched_row_by_row() {
    let server = Server::start().await;
    server.post(MAPS, &map("a")).await.expect(201);
    let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")];
    let response = server.raw(Method::GET, &format!("{MAPS}?watch=1&timeoutSeconds=1"), &accept, "").await;
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let event: serde_json::Value = serde_json::from_slice(body.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    assert_eq!(event["type"], "ADDED");
    assert_eq!(event["object"]["kind"], "Table");
    assert_eq!(event["object"]["rows"][0]["cells"][0], "a");
    assert_eq!(event["object"]["columnDefinitions"][0]["name"], "Name");
}
