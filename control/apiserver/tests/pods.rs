//! Binding, eviction, ephemeral containers and logs of Pods.

mod support;

use std::{io, sync::Arc};

use axum::{Router, extract::RawQuery, http::StatusCode, routing::get};
use carob_apiserver::{AsyncReadWrite, Config, NodeDialer};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use serde_json::json;
use support::{PODS, Server, pod};

#[tokio::test(start_paused = true)]
async fn a_pod_is_bound_once() {
    let server = Server::start().await;
    server.post(PODS, &pod("a")).await.expect(201);
    let path = format!("{PODS}/a/binding");
    let binding = |node: &str| {
        json!({
            "apiVersion": "v1", "kind": "Binding", "metadata": { "name": "a" },
            "target": { "apiVersion": "v1", "kind": "Node", "name": node },
        })
    };
    server.post(&path, &binding("")).await.expect(422);
    server.post(&format!("{PODS}/none/binding"), &binding("n1")).await.expect(404);
    assert_eq!(server.post(&path, &binding("n1")).await.expect(201).body["status"], "Success");
    let bound = server.get(&format!("{PODS}/a")).await.body;
    assert_eq!(bound["spec"]["nodeName"], "n1");
    let conditions = bound["status"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().any(|one| one["type"] == "PodScheduled" && one["status"] == "True"));
    let again = server.post(&path, &binding("n2")).await.expect(409);
    assert!(again.message().ends_with("pod a is already assigned to node \"n1\""), "{}", again.message());
}

#[tokio::test(start_paused = true)]
async fn an_evicted_pod_is_deleted() {
    let server = Server::start().await;
    server.post(PODS, &pod("a")).await.expect(201);
    let eviction = json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": "a" } });
    server.post(&format!("{PODS}/a/eviction"), &eviction).await.expect(201);
    server.get(&format!("{PODS}/a")).await.expect(404);
    server.post(&format!("{PODS}/a/eviction"), &eviction).await.expect(404);
}

#[tokio::test(start_paused = true)]
async fn an_evicted_pod_that_runs_says_that_it_was_evicted() {
    let server = Server::start().await;
    let mut running = pod("a");
    running["spec"]["nodeName"] = json!("n1");
    let made = server.post(PODS, &running).await.expect(201);
    let path = format!("{PODS}/a");
    let evict = |preconditions: serde_json::Value| {
        json!({
            "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": "a" },
            "deleteOptions": { "preconditions": preconditions },
        })
    };
    let eviction = format!("{path}/eviction");
    server.post(&format!("{eviction}?dryRun=All"), &evict(json!({}))).await.expect(201);
    server.post(&eviction, &evict(json!({ "uid": "another" }))).await.expect(409);
    assert_eq!(server.get(&path).await.body["metadata"], made.body["metadata"], "neither has changed anything");

    server.post(&eviction, &evict(json!({ "resourceVersion": made.version() }))).await.expect(201);
    let evicted = server.get(&path).await.expect(200).body;
    let condition = &evicted["status"]["conditions"][0];
    assert_eq!((&condition["type"], &condition["status"]), (&json!("DisruptionTarget"), &json!("True")));
    assert_eq!(condition["reason"], "EvictionByEvictionAPI");
    assert!(evicted["metadata"]["deletionTimestamp"].is_string());
}

#[tokio::test(start_paused = true)]
async fn ephemeral_containers_have_an_address_of_their_own() {
    let server = Server::start().await;
    server.post(PODS, &pod("a")).await.expect(201);
    let (path, main) = (format!("{PODS}/a/ephemeralcontainers"), format!("{PODS}/a"));
    let debugger = |name: &str, image: &str| {
        json!({ "spec": { "ephemeralContainers":
            [{ "name": name, "image": image, "stdin": true, "targetContainerName": "main" }] } })
    };
    let strategic = "strategic-merge-patch";
    server.patch(&main, strategic, &debugger("x", "tools")).await.expect(422);

    let patched = server.patch(&path, strategic, &debugger("x", "tools")).await.expect(200).body;
    assert_eq!(patched["metadata"]["generation"], 2);
    assert_eq!(patched["spec"]["ephemeralContainers"][0]["imagePullPolicy"], "Always");
    let patched = server.patch(&path, strategic, &debugger("y", "tools:1")).await.expect(200).body;
    assert_eq!(patched["spec"]["ephemeralContainers"].as_array().unwrap().len(), 2);
    let refused = server.patch(&path, strategic, &debugger("x", "other")).await.expect(422);
    assert!(refused.message().contains("existing ephemeral containers \"x\" may not be changed"), "{}", refused.text);

    let mut wanted = server.get(&path).await.expect(200).body;
    wanted["metadata"]["labels"] = json!({ "not": "taken" });
    wanted["spec"]["activeDeadlineSeconds"] = json!(1);
    let same = server.put(&path, &wanted).await.expect(200).body;
    assert_eq!((&same["metadata"]["labels"], &same["spec"]["activeDeadlineSeconds"]), (&json!(null), &json!(null)));
    wanted["spec"]["ephemeralContainers"] = json!([]);
    let refused = server.put(&path, &wanted).await.expect(422);
    assert_eq!(refused.body["details"]["causes"].as_array().unwrap().len(), 2, "{}", refused.text);
    server.patch(&format!("{PODS}/none/ephemeralcontainers"), strategic, &debugger("x", "tools")).await.expect(404);
}

/// A node whose kubelet API answers with what it was asked.
struct Echo;

#[async_trait::async_trait]
impl NodeDialer for Echo {
    async fn dial(&self, node: &str) -> io::Result<Box<dyn AsyncReadWrite>> {
        if node != "n1" {
            return Err(io::Error::other("no such node"));
        }
        let router = Router::new()
            .route("/containerLogs/default/a/main", get(|RawQuery(query)| async { query.unwrap_or_default() }))
            .fallback(|| async { (StatusCode::BAD_REQUEST, "previous terminated container not found") });
        let (here, there) = tokio::io::duplex(64 << 10);
        tokio::spawn(async move {
            let service = TowerToHyperService::new(router);
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(there), service).await
        });
        Ok(Box::new(here))
    }
}

#[tokio::test(start_paused = true)]
async fn logs_come_from_the_node() {
    let server = Server::with(Config { nodes: Arc::new(Echo), ..Config::default() }).await;
    let on = |name: &str, node: &str| {
        let mut pod = pod(name);
        pod["spec"]["nodeName"] = json!(node);
        pod
    };
    for pod in [on("a", "n1"), on("b", "n1"), on("lost", "n2"), pod("unbound")] {
        server.post(PODS, &pod).await.expect(201);
    }
    let mut two = on("two", "n1");
    two["spec"]["containers"] = json!([{ "name": "x", "image": "i" }, { "name": "y", "image": "i" }]);
    server.post(PODS, &two).await.expect(201);
    let log = server.get(&format!("{PODS}/a/log?follow=true&tailLines=5&sinceTime=2026-01-01T00:00:00Z&other=1")).await;
    assert_eq!(log.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(log.expect(200).text, "follow=true&sinceTime=2026-01-01T00%3A00%3A00Z&tailLines=5");
    let cases = [
        ("b/log", 400, "previous terminated container not found"),
        ("lost/log", 500, "no such node"),
        ("unbound/log", 400, "does not have a host assigned"),
        ("two/log", 400, "a container name must be specified for pod two, choose one of: [x y]"),
        ("two/log?container=z", 400, "container z is not valid for pod two"),
        ("a/log?tailLines=-1", 422, "tailLines: must be greater than or equal to 0"),
        ("a/log?sinceTime=yesterday", 400, "sinceTime: "),
        ("none/log", 404, "pods \"none\" not found"),
    ];
    for (path, code, message) in cases {
        let answer = server.get(&format!("{PODS}/{path}")).await.expect(code);
        assert!(answer.message().contains(message), "{path}: {}", answer.message());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_odd_about_a_pod_is_taken_with_a_warning() {
    let server = Server::start().await;
    let mut odd = pod("a");
    odd["spec"]["containers"][0]["env"] = json!([{ "name": "A", "value": "1" }, { "name": "A", "value": "2" }]);
    let made = server.post(PODS, &odd).await.expect(201);
    let expected = "299 - \"spec.containers[0].env[1]: hides previous definition of \\\"A\\\", which may be dropped when using \
                    apply\"";
    assert_eq!(made.warnings(), [expected]);
    let image = json!({ "spec": { "containers": [{ "name": "main", "image": "other" }] } });
    let changed = server.patch(&format!("{PODS}/a"), "strategic-merge-patch", &image).await.expect(200);
    assert_eq!(changed.warnings(), [expected]);
    let labelled = json!({ "metadata": { "labels": { "a": "b" } } });
    let same = server.patch(&format!("{PODS}/a"), "merge-patch", &labelled).await.expect(200);
    assert_eq!(same.warnings(), Vec::<&str>::new());
}
