//! Deletion: at once, gracefully, held by finalizers, of namespaces and of collections.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use http::Method;
use serde_json::{Value, json};
use support::{JSON, MAPS, PODS, Server, labelled, map, pod};

async fn delete_with(server: &Server, path: &str, options: &Value) -> support::Answer {
    server.send(Method::DELETE, path, JSON, options.to_string()).await
}

#[tokio::test(start_paused = true)]
async fn a_plain_object_goes_at_once() {
    let server = Server::start().await;
    let made = server.post(MAPS, &map("a")).await.expect(201).body;
    let gone = server.delete(&format!("{MAPS}/a")).await.expect(200).body;
    assert_eq!(gone["kind"], "Status");
    assert_eq!(gone["status"], "Success");
    assert_eq!(gone["details"], json!({ "name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"] }));
    let missing = server.delete(&format!("{MAPS}/a")).await.expect(404);
    assert_eq!(missing.message(), "configmaps \"a\" not found");
}

#[tokio::test(start_paused = true)]
async fn preconditions_and_options() {
    let server = Server::start().await;
    let path = format!("{MAPS}/a");
    let made = server.post(MAPS, &map("a")).await.expect(201).body;
    let with = |field: &str, value: &str| json!({ "preconditions": { field: value } });
    let wrong = delete_with(&server, &path, &with("uid", "other")).await.expect(409);
    assert!(wrong.message().contains("Precondition failed: UID in precondition: other, UID in object meta: "));
    let wrong = delete_with(&server, &path, &with("resourceVersion", "1")).await.expect(409);
    assert!(wrong.message().contains("ResourceVersion in precondition: 1"), "{}", wrong.message());
    delete_with(&server, &path, &json!({ "propagationPolicy": "Sideways" })).await.expect(422);
    delete_with(&server, &path, &json!({ "propagationPolicy": "Orphan", "orphanDependents": true })).await.expect(422);
    delete_with(&server, &path, &json!({ "gracePeriodSeconds": "soon" })).await.expect(400);
    delete_with(&server, &path, &json!({ "dryRun": ["All"] })).await.expect(200);
    server.get(&path).await.expect(200);
    delete_with(&server, &path, &with("uid", made["metadata"]["uid"].as_str().unwrap())).await.expect(200);
    server.get(&path).await.expect(404);
}

#[tokio::test(start_paused = true)]
async fn finalizers_hold_an_object() {
    let server = Server::start().await;
    let path = format!("{MAPS}/a");
    let mut object = map("a");
    object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    server.post(MAPS, &object).await.expect(201);
    let held = server.delete(&path).await.expect(200).body;
    assert!(held["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(held["metadata"]["deletionGracePeriodSeconds"], 0);
    let again = server.delete(&path).await.expect(200).body;
    assert_eq!(again, held, "a second deletion changes nothing");

    let more = json!({ "metadata": { "finalizers": ["example.com/hold", "example.com/more"] } });
    let refused = server.patch(&path, "merge-patch", &more).await.expect(422);
    assert!(refused.message().contains("no new finalizers can be added if the object is being deleted"));
    let edited = server.patch(&path, "merge-patch", &json!({ "data": { "k": "z" } })).await.expect(200).body;
    assert_eq!(edited["metadata"]["deletionTimestamp"], held["metadata"]["deletionTimestamp"]);
    server.patch(&path, "merge-patch", &json!({ "metadata": { "finalizers": null } })).await.expect(200);
    server.get(&path).await.expect(404);
}

#[tokio::test(start_paused = true)]
async fn propagation_sets_the_finalizers_of_the_collector() {
    let server = Server::start().await;
    let cases = [("Foreground", Some("foregroundDeletion")), ("Orphan", Some("orphan")), ("Background", None)];
    for (policy, finalizer) in cases {
        server.post(MAPS, &map("a")).await.expect(201);
        let path = format!("{MAPS}/a");
        let answer = server.delete(&format!("{path}?propagationPolicy={policy}")).await.expect(200).body;
        match finalizer {
            Some(finalizer) => {
                assert_eq!(answer["metadata"]["finalizers"], json!([finalizer]));
                server.patch(&path, "merge-patch", &json!({ "metadata": { "finalizers": [] } })).await.expect(200);
            }
            None => assert_eq!(answer["status"], "Success"),
        }
        server.get(&path).await.expect(404);
    }
}

#[tokio::test(start_paused = true)]
async fn a_scheduled_pod_gets_its_time() {
    let server = Server::start().await;
    let mut bound = pod("a");
    bound["spec"]["nodeName"] = json!("n1");
    server.post(PODS, &bound).await.expect(201);
    let path = format!("{PODS}/a");
    let first = server.delete(&path).await.expect(200).body;
    assert_eq!(first["metadata"]["deletionGracePeriodSeconds"], 30);
    let longer = server.delete(&format!("{path}?gracePeriodSeconds=60")).await.expect(200).body;
    assert_eq!(longer["metadata"]["deletionGracePeriodSeconds"], 30, "it can only become shorter");
    let shorter = server.delete(&format!("{path}?gracePeriodSeconds=5")).await.expect(200).body;
    assert_eq!(shorter["metadata"]["deletionGracePeriodSeconds"], 5);
    let seconds = |object: &Value| {
        object["metadata"]["deletionTimestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second()
    };
    assert_eq!(seconds(&first) - seconds(&shorter), 25);
    let gone = server.delete(&format!("{path}?gracePeriodSeconds=0")).await.expect(200).body;
    assert_eq!(gone["kind"], "Pod");
    server.get(&path).await.expect(404);

    server.post(PODS, &pod("unscheduled")).await.expect(201);
    server.delete(&format!("{PODS}/unscheduled")).await.expect(200);
    server.get(&format!("{PODS}/unscheduled")).await.expect(404);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_goes_when_it_is_finalized() {
    let server = Server::start().await;
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "team" } });
    server.post("/api/v1/namespaces", &namespace).await.expect(201);
    let path = "/api/v1/namespaces/team";
    let mut ending = server.delete(path).await.expect(200).body;
    assert_eq!(ending["status"]["phase"], "Terminating");
    assert_eq!(ending["spec"]["finalizers"], json!(["kubernetes"]));
    let refused = server.post(&format!("{path}/configmaps"), &map("late")).await.expect(403);
    assert_eq!(
        refused.message(),
        "configmaps \"late\" is forbidden: unable to create new content in namespace team because it is being terminated"
    );
    assert_eq!(refused.body["details"]["causes"][0]["reason"], "NamespaceTerminating");

    ending["spec"]["finalizers"] = json!([]);
    server.put(&format!("{path}/finalize"), &ending).await.expect(200);
    server.get(path).await.expect(404);
    assert_eq!(
        server.delete("/api/v1/namespaces/default").await.expect(403).message(),
        "namespaces \"default\" is forbidden: this namespace may not be deleted"
    );
}

#[tokio::test(start_paused = true)]
async fn a_collection_is_deleted_by_selector() {
    let server = Server::start().await;
    for name in ["a1", "a2", "b1"] {
        server.post(MAPS, &labelled(name, &name[..1])).await.expect(201);
    }
    let gone = server.delete(&format!("{MAPS}?labelSelector=app%3Da")).await.expect(200);
    assert_eq!(gone.names(), ["a1", "a2"]);
    assert_eq!(server.get(MAPS).await.names(), ["b1"]);
}
