//! Exec, attach and port-forward: what is refused before a connection becomes one to a node.

mod support;

use std::{io, sync::Arc, time::Duration};

use carob_apiserver::{AsyncReadWrite, Config, NodeDialer};
use http::Method;
use serde_json::json;
use support::{PODS, Server, pod};

const UPGRADE: &[(&str, &str)] = &[("connection", "upgrade"), ("upgrade", "websocket")];

async fn server_with_pods() -> Server {
    let server = Server::start().await;
    server.post(PODS, &pod("waiting")).await.expect(201);
    for (name, containers) in [("one", &["a"][..]), ("two", &["a", "b"])] {
        let mut bound = pod(name);
        bound["spec"]["nodeName"] = json!("n1");
        let containers: Vec<_> = containers.iter().map(|name| json!({"name": name, "image": "app"})).collect();
        bound["spec"]["containers"] = json!(containers);
        server.post(PODS, &bound).await.expect(201);
    }
    server
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused_with_kubernetes_words() {
    let server = server_with_pods().await;
    for (path, code, words) in [
        ("none/exec?command=ls&stdout=1", 404, "pods \"none\" not found"),
        ("waiting/exec?command=ls&stdout=1", 400, "pod waiting does not have a host assigned"),
        ("one/exec?stdout=1", 400, "you must specify at least one command"),
        ("one/exec?command=ls", 400, "you must specify at least 1 of stdin, stdout, stderr"),
        ("one/exec?command=ls&stdout=false&stderr=0", 400, "you must specify at least 1 of stdin, stdout, stderr"),
        ("one/exec?command=ls&stdout=1&container=b", 400, "container b is not valid for pod one"),
        ("two/exec?command=ls&stdout=1", 400, "a container name must be specified for pod two, choose one of: [a b]"),
        ("two/attach?stdout=1", 400, "a container name must be specified for pod two"),
        ("one/attach", 400, "you must specify at least 1 of stdin, stdout, stderr"),
        ("one/portforward", 400, "cannot be upgraded"),
        ("one/exec?command=ls&stdout=1", 400, "cannot be upgraded"),
    ] {
        for method in [Method::GET, Method::POST] {
            let answer = server.send(method, &format!("{PODS}/{path}"), UPGRADE, String::new()).await.expect(code);
            assert!(answer.message().contains(words), "{path}: {}", answer.message());
        }
    }
    let plain = server.get(&format!("{PODS}/one/exec?command=ls&stdout=1")).await.expect(400);
    assert_eq!(plain.message(), "Upgrade request required");
    server.put(&format!("{PODS}/one/exec"), &json!({})).await.expect(405);
}

/// The way to a node that never answers.
struct Silent;

#[async_trait::async_trait]
impl NodeDialer for Silent {
    async fn dial(&self, _: &str) -> io::Result<Box<dyn AsyncReadWrite>> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_answer_is_given_up() {
    let server = Server::with(Config { nodes: Arc::new(Silent), ..Config::default() }).await;
    let mut bound = pod("a");
    bound["spec"]["nodeName"] = json!("n1");
    server.post(PODS, &bound).await.expect(201);
    let begin = tokio::time::Instant::now();
    let answer = server.get(&format!("{PODS}/a/log")).await.expect(500);
    assert!(answer.message().contains("it did not answer within 10s"), "{}", answer.message());
    assert!(begin.elapsed() >= Duration::from_secs(10));
}
