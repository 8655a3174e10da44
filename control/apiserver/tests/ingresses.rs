//! Ingresses: which class they get, and who may read their certificates.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use carob_apiserver::Identity;
use http::Request;
use serde_json::{Value, json};
use support::Server;
use tower::ServiceExt;

const INGRESSES: &str = "/apis/networking.k8s.io/v1/namespaces/default/ingresses";
const CLASSES: &str = "/apis/networking.k8s.io/v1/ingressclasses";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const NODES: &str = "/api/v1/nodes";

fn class(name: &str, controller: &str, default: bool) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "spec": { "controller": controller },
        "metadata": {
            "name": name, "annotations": { "ingressclass.kubernetes.io/is-default-class": default.to_string() },
        },
    })
}

fn ingress(name: &str, class: Value, secret: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": { "name": name },
        "spec": {
            "ingressClassName": class, "tls": [{ "hosts": ["a.example"], "secretName": secret }],
            "defaultBackend": { "service": { "name": "web", "port": { "number": 80 } } },
        },
    })
}

#[tokio::test]
async fn an_ingress_that_names_no_class_gets_the_default_one() {
    let server = Server::start().await;
    let class_of = async |name: &str, class: Value| {
        let made = server.post(INGRESSES, &ingress(name, class, "")).await.expect(201).body;
        made["spec"]["ingressClassName"].clone()
    };
    assert_eq!(class_of("before", Value::Null).await, Value::Null);
    server.post(CLASSES, &class("other", "example.com/other", false)).await.expect(201);
    server.post(CLASSES, &class("carob", "carob.dev/ingress", true)).await.expect(201);
    assert_eq!(class_of("after", Value::Null).await, "carob");
    assert_eq!(class_of("named", json!("other")).await, "other");
    let mut old = ingress("old", Value::Null, "");
    old["metadata"]["annotations"] = json!({ "kubernetes.io/ingress.class": "other" });
    let made = server.post(INGRESSES, &old).await.expect(201);
    assert_eq!(made.body["spec"]["ingressClassName"], Value::Null);
    assert!(made.warnings()[0].contains("is deprecated"), "{:?}", made.warnings());
}

#[tokio::test]
async fn the_status_has_a_door_of_its_own() {
    let server = Server::start().await;
    server.post(INGRESSES, &ingress("web", Value::Null, "")).await.expect(201);
    let status = json!({ "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.1" }] } } });
    let plain = server.patch(&format!("{INGRESSES}/web"), "merge-patch", &status).await.expect(200).body;
    assert_eq!(plain["status"], json!({ "loadBalancer": {} }));
    let written = server.patch(&format!("{INGRESSES}/web/status"), "merge-patch", &status).await.expect(200).body;
    assert_eq!(written["status"], status["status"]);
    assert_eq!(written["metadata"]["generation"], 1);
}

#[tokio::test]
async fn a_gateway_reads_the_certificates_of_its_ingresses_and_no_other_secret() {
    let server = Server::start().await;
    server.post(CLASSES, &class("carob", "carob.dev/ingress", true)).await.expect(201);
    server.post(CLASSES, &class("other", "example.com/other", false)).await.expect(201);
    for (name, class) in [("shown", "carob"), ("others", "other")] {
        server.post(INGRESSES, &ingress(name, json!(class), name)).await.expect(201);
    }
    for name in ["shown", "others", "unnamed"] {
        let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name } });
        server.post(SECRETS, &secret).await.expect(201);
    }
    for (name, labels) in [("gateway", json!({ "node-role.kubernetes.io/ingress": "" })), ("plain", json!({}))] {
        let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name, "labels": labels } });
        server.post(NODES, &node).await.expect(201);
    }
    let cases = [
        ("gateway", format!("{SECRETS}/shown"), 200),
        ("gateway", format!("{SECRETS}?fieldSelector=metadata.name%3Dshown"), 200),
        ("gateway", format!("{SECRETS}/others"), 403),
        ("gateway", format!("{SECRETS}/unnamed"), 403),
        ("gateway", SECRETS.to_owned(), 403),
        ("gateway", "/api/v1/namespaces/kube-system/secrets/shown".to_owned(), 403),
        ("plain", format!("{SECRETS}/shown"), 403),
        ("plain", INGRESSES.to_owned(), 200),
        ("plain", CLASSES.to_owned(), 200),
    ];
    for (node, path, expected) in cases {
        let who = Identity::user(format!("system:node:{node}")).group("system:nodes");
        let request = Request::get(&path).body(axum::body::Body::empty()).unwrap();
        let answer = server.api.client(who).oneshot(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{node} {path}");
    }
}
