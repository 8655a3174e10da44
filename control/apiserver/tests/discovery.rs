//! What is served, in which forms, and how the server is.

mod support;

use http::Method;
use serde_json::json;
use support::{MAPS, PODS, Server, map, pod};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

#[tokio::test(start_paused = true)]
async fn level_by_level() {
    let server = Server::start().await;
    assert_eq!(server.get("/api").await.expect(200).body["versions"], json!(["v1"]));
    let groups = server.get("/apis").await.expect(200).body;
    let groups: Vec<_> =
        groups["groups"].as_array().unwrap().iter().map(|group| group["name"].as_str().unwrap()).collect();
    for group in ["apps", "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io"] {
        assert!(groups.contains(&group), "{group} is not in {groups:?}");
        server.get(&format!("/apis/{group}")).await.expect(200);
    }
    let core = server.get("/api/v1").await.expect(200).body;
    let of = |name: &str| core["resources"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    assert_eq!(of("pods")["shortNames"], json!(["po"]));
    assert_eq!(of("pods")["namespaced"], true);
    assert_eq!(of("pods/eviction")["group"], "policy");
    let proxied = [("nodes", "NodeProxyOptions"), ("pods", "PodProxyOptions"), ("services", "ServiceProxyOptions")];
    for (plural, kind) in proxied {
        let proxy = of(&format!("{plural}/proxy"));
        let verbs = json!(["create", "delete", "get", "patch", "update"]);
        assert_eq!((&proxy["kind"], &proxy["verbs"]), (&json!(kind), &verbs));
    }
    assert_eq!(of("namespaces")["namespaced"], false);
    server.get("/apis/none").await.expect(404);
    server.get("/apis/apps/v9").await.expect(404);
    assert!(server.get("/").await.expect(200).body["paths"].as_array().unwrap().contains(&json!("/apis/apps/v1")));
}

#[tokio::test(start_paused = true)]
async fn all_at_once() {
    let server = Server::start().await;
    let answer = server.send(Method::GET, "/apis", &[("accept", AGGREGATED)], "").await.expect(200);
    assert_eq!(answer.headers["content-type"], "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    assert_eq!(answer.body["kind"], "APIGroupDiscoveryList");
    assert_eq!(answer.body["items"][0]["metadata"]["name"], "apps");
    let core = server.send(Method::GET, "/api", &[("accept", AGGREGATED)], "").await.expect(200).body;
    let resources = core["items"][0]["versions"][0]["resources"].as_array().unwrap();
    let pods = resources.iter().find(|one| one["resource"] == "pods").unwrap();
    assert_eq!(pods["responseKind"]["kind"], "Pod");
    assert!(pods["subresources"].as_array().unwrap().iter().any(|one| one["subresource"] == "log"));
}

#[tokio::test(start_paused = true)]
async fn the_forms_of_objects() {
    let server = Server::start().await;
    server.post(MAPS, &map("a")).await.expect(201);
    let table = server.send(Method::GET, MAPS, &[("accept", TABLE)], "").await.expect(200);
    assert_eq!(table.body["kind"], "Table");
    assert_eq!(table.body["rows"][0]["cells"][0], "a");
    assert_eq!(table.body["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    assert!(table.body["metadata"]["resourceVersion"].is_string());
    let one = server.send(Method::GET, &format!("{MAPS}/a?includeObject=Object"), &[("accept", TABLE)], "").await;
    assert_eq!(one.expect(200).body["rows"][0]["object"]["data"]["k"], "v");
    server.send(Method::GET, &format!("{MAPS}?includeObject=Half"), &[("accept", TABLE)], "").await.expect(400);
    let partial = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let partial = server.send(Method::GET, MAPS, &[("accept", partial)], "").await.expect(200).body;
    assert_eq!(partial["kind"], "PartialObjectMetadataList");
    assert_eq!(partial["items"][0]["metadata"]["name"], "a");
    assert!(partial["items"][0].get("data").is_none());
    let protobuf = [("accept", "application/vnd.kubernetes.protobuf")];
    server.send(Method::GET, MAPS, &protobuf, "").await.expect(406);
}

#[tokio::test(start_paused = true)]
async fn events_are_served_by_two_groups() {
    let server = Server::start().await;
    let event = json!({
        "metadata": { "name": "e" }, "type": "Normal", "reason": "Tested", "message": "hello",
        "involvedObject": { "kind": "Pod", "namespace": "default", "name": "p" }, "source": { "component": "test" },
    });
    server.post("/api/v1/namespaces/default/events", &event).await.expect(201);
    let path = "/apis/events.k8s.io/v1/namespaces/default/events";
    let newer = server.get(&format!("{path}/e")).await.expect(200).body;
    assert_eq!(newer["apiVersion"], "events.k8s.io/v1");
    assert_eq!((&newer["note"], &newer["regarding"]["name"]), (&json!("hello"), &json!("p")));
    let patched =
        server.patch(&format!("{path}/e"), "merge-patch", &json!({ "metadata": { "labels": { "a": "b" } } })).await;
    assert_eq!(patched.expect(200).body["note"], "hello");
    let older = server.get("/api/v1/namespaces/default/events").await.expect(200).body;
    assert_eq!(older["items"][0]["message"], "hello");
    assert_eq!(older["items"][0]["metadata"]["labels"]["a"], "b");
}

#[tokio::test(start_paused = true)]
async fn how_the_server_is() {
    let server = Server::start().await;
    for probe in ["healthz", "livez", "readyz"] {
        assert_eq!(server.get(&format!("/{probe}")).await.expect(200).text, "ok");
        let verbose = server.get(&format!("/{probe}?verbose")).await.expect(200).text;
        assert!(verbose.contains("[+]ping ok\n") && verbose.ends_with(&format!("{probe} check passed\n")), "{verbose}");
    }
    server.get("/livez/ping").await.expect(200);
    server.get("/livez/nothing").await.expect(404);
    assert_eq!(server.get("/version").await.expect(200).body["gitVersion"], "v1.37.0+carob");
    server.get(PODS).await.expect(200);
    let watch = server.watch(&format!("{PODS}?watch=1")).await;
    let metrics = server.get("/metrics").await.expect(200).text;
    for line in [
        "apiserver_request_total{verb=\"list\",group=\"\",resource=\"pods\",subresource=\"\",code=\"200\"} 1",
        "apiserver_registered_watchers{group=\"\",version=\"v1\",kind=\"Pod\"} 1",
        "apiserver_storage_objects{resource=\"namespaces\"} 4",
        "carob_store_revision ",
    ] {
        assert!(metrics.contains(line), "no {line} in\n{metrics}");
    }
    drop(watch);
    assert!(server.get("/metrics").await.text.contains("kind=\"Pod\"} 0"));
}

#[tokio::test(start_paused = true)]
async fn schemas_are_published() {
    let server = Server::start().await;
    let index = server.get("/openapi/v3").await.expect(200).body;
    let address = index["paths"]["api/v1"]["serverRelativeURL"].as_str().unwrap();
    assert!(address.starts_with("/openapi/v3/api/v1?hash="), "{address}");
    let document = server.get(address).await.expect(200);
    assert!(document.body["components"]["schemas"]["io.k8s.api.core.v1.Pod"].is_object());
    assert!(document.headers["cache-control"].to_str().unwrap().contains("immutable"));
    assert!(server.get("/openapi/v2").await.expect(200).body["definitions"].is_object());
    for path in ["/openapi/v2", "/openapi/v3", "/openapi/v3/api/v1"] {
        let first = server.get(path).await.expect(200);
        let tag = first.headers["etag"].to_str().unwrap();
        let again = server.send(Method::GET, path, &[("if-none-match", tag)], "").await.expect(304);
        assert_eq!((again.text.as_str(), &again.headers["etag"]), ("", &first.headers["etag"]), "{path}");
    }
    server.get("/openapi/v3/apis/none/v1").await.expect(404);
}

#[tokio::test(start_paused = true)]
async fn the_second_version_is_published_as_protobuf_too() {
    const MEDIA: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let server = Server::start().await;
    let get = async |accept: &str, tag: &str| {
        let headers = [("accept", accept), ("if-none-match", tag)];
        server.send(Method::GET, "/openapi/v2", &headers, "").await
    };
    let json = get("application/json", "").await.expect(200);
    let tag = json.headers["etag"].to_str().unwrap();
    let protobuf = get(MEDIA, tag).await.expect(200);
    assert_eq!(protobuf.headers["content-type"], "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
    assert_eq!(protobuf.headers["vary"], "Accept");
    assert!(protobuf.text.starts_with("\n\u{3}2.0"), "the first field is the version of OpenAPI");
    let own = protobuf.headers["etag"].to_str().unwrap();
    get(MEDIA, own).await.expect(304);
    for (accept, form) in [
        (format!("{MEDIA},application/json"), &protobuf),
        (format!("text/html, application/json;q=0.9, {MEDIA}"), &json),
        ("text/html".into(), &json),
    ] {
        let answer = get(&accept, "").await.expect(200);
        assert_eq!(answer.headers["content-type"], form.headers["content-type"], "{accept}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_created_in_table_form() {
    let server = Server::start().await;
    let headers = [("accept", TABLE), ("content-type", "application/json")];
    let made = server.send(Method::POST, PODS, &headers, pod("a").to_string()).await.expect(201);
    assert_eq!(made.body["rows"][0]["cells"][0], "a");
}
