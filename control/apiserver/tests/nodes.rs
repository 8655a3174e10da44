//! What a node may do, and what one may who is about to become one.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use axum::body::Body;
use base64::{Engine, engine::general_purpose::STANDARD};
use carob_apiserver::Identity;
use carob_pki::{CertificateRequest, Names};
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use support::{MAPS, PODS, SERVICES, Server, map, pod, tls::Listening};
use tower::ServiceExt;

const NODES: &str = "/api/v1/nodes";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";
const VOLUMES: &str = "/api/v1/persistentvolumes";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const ACCOUNT_TOKEN: &str = "/api/v1/namespaces/default/serviceaccounts/default/token";

fn node(name: &str) -> Identity {
    Identity::user(format!("system:node:{name}")).group("system:nodes")
}

async fn ask(server: &Server, who: Identity, method: &str, path: &str, body: Value) -> (u16, Value) {
    let mut request = Request::new(Body::from(if body.is_null() { String::new() } else { body.to_string() }));
    let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    request.headers_mut().insert("content-type", kind.parse().unwrap());
    *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
    *request.uri_mut() = path.parse().unwrap();
    let response = server.api.client(who).oneshot(request).await.unwrap();
    let code = response.status().as_u16();
    if path.contains("watch=") {
        return (code, Value::Null);
    }
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (code, serde_json::from_slice(&bytes).unwrap_or_default())
}

fn object(kind: &str, name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name } })
}

/// Two nodes, each with a Pod that uses a Secret and a ConfigMap of its own.
async fn two_nodes() -> Server {
    let server = Server::start().await;
    for name in ["n1", "n2"] {
        let mut node = object("Node", name);
        node["spec"] = json!({ "podCIDR": format!("10.244.{}.0/24", &name[1..]) });
        server.post(NODES, &node).await.expect(201);
        server.post(SECRETS, &object("Secret", &format!("secret-{name}"))).await.expect(201);
        server.post(MAPS, &map(&format!("map-{name}"))).await.expect(201);
        let mut pod = pod(&format!("pod-{name}"));
        pod["spec"]["nodeName"] = json!(name);
        pod["spec"]["volumes"] = json!([{ "name": "s", "secret": { "secretName": format!("secret-{name}") } }]);
        pod["spec"]["containers"][0]["envFrom"] = json!([{ "configMapRef": { "name": format!("map-{name}") } }]);
        server.post(PODS, &pod).await.expect(201);
    }
    server
}

#[tokio::test]
async fn a_node_touches_what_is_its_own() {
    let server = two_nodes().await;
    let token = |pod: &Value| {
        let bound = json!({ "apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"] });
        json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": { "boundObjectRef": bound } })
    };
    let (own, other) =
        (server.get(&format!("{PODS}/pod-n1")).await.body, server.get(&format!("{PODS}/pod-n2")).await.body);
    let status = json!({ "status": { "phase": "Running" } });
    let addressed = |ip: &str| json!({ "status": { "podIP": ip, "podIPs": [{ "ip": ip }] } });
    let labelled = |key: &str| json!({ "metadata": { "labels": { key: "x" } } });
    let lease =
        |name: &str| json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": name } });
    let cases = [
        ("GET", format!("{SECRETS}/secret-n1"), Value::Null, 200),
        ("GET", format!("{SECRETS}/secret-n2"), Value::Null, 403),
        ("GET", format!("{SECRETS}?fieldSelector=metadata.name%3Dsecret-n1"), Value::Null, 200),
        ("GET", format!("{SECRETS}?fieldSelector=metadata.name%3Dsecret-n2"), Value::Null, 403),
        ("GET", format!("{SECRETS}?watch=1&fieldSelector=metadata.name%3Dsecret-n1"), Value::Null, 200),
        ("GET", SECRETS.to_owned(), Value::Null, 403),
        ("GET", "/api/v1/secrets".to_owned(), Value::Null, 403),
        ("GET", "/api/v1/namespaces/kube-system/secrets/secret-n1".to_owned(), Value::Null, 403),
        ("PUT", format!("{SECRETS}/secret-n1"), object("Secret", "secret-n1"), 403),
        ("GET", format!("{MAPS}/map-n1"), Value::Null, 200),
        ("GET", format!("{MAPS}/map-n2"), Value::Null, 403),
        ("GET", SERVICES.to_owned(), Value::Null, 200),
        ("POST", SERVICES.to_owned(), object("Service", "s"), 403),
        ("GET", format!("{NODES}/n2"), Value::Null, 200),
        ("PATCH", format!("{NODES}/n1/status"), json!({ "status": { "conditions": [] } }), 200),
        ("PATCH", format!("{NODES}/n2/status"), json!({ "status": { "conditions": [] } }), 403),
        ("PATCH", format!("{NODES}/n1"), labelled("zone"), 200),
        ("PATCH", format!("{NODES}/n1"), labelled("node-role.kubernetes.io/control-plane"), 403),
        ("PATCH", format!("{NODES}/n1/status"), labelled("node-restriction.kubernetes.io/a"), 403),
        (
            "PATCH",
            format!("{NODES}/n1"),
            json!({ "spec": { "taints": [{ "key": "a", "effect": "NoSchedule" }] } }),
            403,
        ),
        ("DELETE", format!("{NODES}/n1"), Value::Null, 403),
        ("POST", NODES.to_owned(), object("Node", "n3"), 403),
        ("POST", LEASES.to_owned(), lease("n1"), 201),
        ("POST", LEASES.to_owned(), lease("n2"), 403),
        ("PATCH", format!("{LEASES}/n1"), json!({ "spec": { "holderIdentity": "n1" } }), 200),
        ("PATCH", format!("{PODS}/pod-n1/status"), status.clone(), 200),
        ("PATCH", format!("{PODS}/pod-n2/status"), status, 403),
        ("PATCH", format!("{PODS}/pod-n1/status"), addressed("10.244.1.7"), 200),
        ("PATCH", format!("{PODS}/pod-n1/status"), addressed("10.244.2.7"), 403),
        ("PATCH", format!("{PODS}/pod-n1/status"), addressed("10.244.1.7"), 200),
        ("PATCH", format!("{NODES}/n1"), json!({ "spec": { "podCIDR": "10.244.2.0/24" } }), 403),
        ("PATCH", format!("{PODS}/pod-n1/status"), labelled("app"), 403),
        ("PATCH", format!("{PODS}/pod-n1"), labelled("app"), 403),
        ("POST", PODS.to_owned(), pod("new"), 403),
        ("POST", ACCOUNT_TOKEN.to_owned(), token(&own), 201),
        ("POST", ACCOUNT_TOKEN.to_owned(), token(&other), 403),
        (
            "POST",
            ACCOUNT_TOKEN.to_owned(),
            json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {} }),
            403,
        ),
        ("DELETE", format!("{PODS}/pod-n2"), Value::Null, 403),
        ("DELETE", PODS.to_owned(), Value::Null, 403),
        ("GET", "/metrics".to_owned(), Value::Null, 403),
        ("GET", "/apis".to_owned(), Value::Null, 200),
        ("DELETE", format!("{PODS}/pod-n1"), Value::Null, 200),
    ];
    for (method, path, body, expected) in cases {
        let (code, answer) = ask(&server, node("n1"), method, &path, body.clone()).await;
        assert_eq!(code, expected, "{method} {path} {body}: {}", answer["message"]);
    }
}

#[tokio::test]
async fn a_node_writes_volumes_of_its_own_folders_and_takes_claims_that_are_free() {
    let server = two_nodes().await;
    let volume = |name: &str, node: &str| {
        let here =
            json!([{ "matchExpressions": [{ "key": "kubernetes.io/hostname", "operator": "In", "values": [node] }] }]);
        json!({
            "apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": { "name": name, "annotations": { "pv.kubernetes.io/provisioned-by": "carob.dev/local-path" } },
            "spec": {
                "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOnce"], "local": { "path": "/x" },
                "nodeAffinity": { "required": { "nodeSelectorTerms": here } },
            },
        })
    };
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "c" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    });
    server.post(CLAIMS, &claim).await.expect(201);
    let select = |node: &str| json!({ "metadata": { "annotations": { "volume.kubernetes.io/selected-node": node } } });
    let cases = [
        ("POST", VOLUMES.to_owned(), volume("v1", "n1"), 201),
        ("POST", VOLUMES.to_owned(), volume("v2", "n2"), 403),
        ("PATCH", format!("{CLAIMS}/c"), select("n2"), 403),
        ("PATCH", format!("{CLAIMS}/c"), json!({ "metadata": { "labels": { "a": "b" } } }), 403),
        ("PATCH", format!("{CLAIMS}/c"), select("n1"), 200),
        ("PATCH", format!("{VOLUMES}/v1"), json!({ "metadata": { "finalizers": [] } }), 200),
        ("DELETE", format!("{VOLUMES}/v1"), Value::Null, 200),
    ];
    for (method, path, body, expected) in cases {
        let (code, answer) = ask(&server, node("n1"), method, &path, body.clone()).await;
        assert_eq!(code, expected, "{method} {path} {body}: {}", answer["message"]);
    }
    server.post(VOLUMES, &volume("v2", "n2")).await.expect(201);
    let (code, _) = ask(&server, node("n1"), "DELETE", &format!("{VOLUMES}/v2"), Value::Null).await;
    assert_eq!(code, 403);
}

#[tokio::test]
async fn a_node_asks_for_certificates_of_its_own() {
    let server = two_nodes().await;
    for (about, expected) in [("system:node:n1", 201), ("system:node:n2", 403), ("jane", 403)] {
        let asked = CertificateRequest::create(about, "system:nodes", &Names::default()).unwrap();
        let request = json!({
            "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
            "metadata": { "generateName": "csr-" },
            "spec": {
                "request": STANDARD.encode(asked.request), "usages": ["client auth"],
                "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
            },
        });
        let (code, answer) = ask(&server, node("n1"), "POST", REQUESTS, request).await;
        assert_eq!(code, expected, "{about}: {}", answer["message"]);
    }
}

#[tokio::test]
async fn who_is_no_node_by_name_is_none_by_group() {
    let server = Server::start().await;
    let (code, _) = ask(&server, Identity::user("jane").group("system:nodes"), "GET", NODES, Value::Null).await;
    assert_eq!(code, 403);
}

fn bootstrap_token(id: &str, secret: &str, expiration: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token",
        "metadata": { "name": format!("bootstrap-token-{id}") },
        "stringData": {
            "token-id": id, "token-secret": secret, "expiration": expiration, "usage-bootstrap-authentication": "true",
        },
    })
}

#[tokio::test]
async fn a_bootstrap_token_is_good_for_asking_for_a_certificate() {
    let server = Server::start().await;
    let secrets = "/api/v1/namespaces/kube-system/secrets";
    server.post(secrets, &bootstrap_token("abcdef", "0123456789abcdef", "2999-01-01T00:00:00Z")).await.expect(201);
    server.post(secrets, &bootstrap_token("expire", "0123456789abcdef", "2001-01-01T00:00:00Z")).await.expect(201);
    let listening = Listening::start(&server).await;
    let get = async |token: &str, path: &str| {
        let auth = kube::config::AuthInfo { token: Some(token.to_owned().into()), ..Default::default() };
        let client = kube::Client::try_from(listening.config_with(auth).await).unwrap();
        match client.request_text(Request::get(path).body(Vec::new()).unwrap()).await {
            Ok(_) => 200,
            Err(kube::Error::Api(status)) => status.code,
            Err(error) => panic!("{error}"),
        }
    };
    let cases = [
        ("abcdef.0123456789abcdef", REQUESTS, 200),
        ("abcdef.0123456789abcdef", NODES, 403),
        ("abcdef.0123456789abcdef", secrets, 403),
        ("abcdef.0123456789abcdee", REQUESTS, 401),
        ("expire.0123456789abcdef", REQUESTS, 401),
        ("nobody.0123456789abcdef", REQUESTS, 401),
    ];
    for (token, path, expected) in cases {
        assert_eq!(get(token, path).await, expected, "{token} {path}");
    }
    listening.stop().await;
}
