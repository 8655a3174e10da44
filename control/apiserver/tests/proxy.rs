//! What is proxied to Pods, Services and Nodes, with a node whose only Pod tells what it was asked.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{convert::Infallible, io, sync::Arc};

use axum::body::Body;
use carob_apiserver::{AsyncReadWrite, Config, NodeDialer};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use support::{PODS, SERVICES, Server, pod, tls::Listening};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, split};

struct Node;

#[async_trait::async_trait]
impl NodeDialer for Node {
    async fn dial(&self, _: &str) -> io::Result<Box<dyn AsyncReadWrite>> {
        let (near, far) = tokio::io::duplex(64 << 10);
        tokio::spawn(serve(far, kubelet));
        Ok(Box::new(near))
    }
}

async fn serve<F: Future<Output = Response<Body>> + Send>(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send,
) {
    let service = service_fn(|request| {
        let answer = answer.clone();
        async move { Ok::<_, Infallible>(answer(request).await) }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(io), service).with_upgrades().await;
}

/// The Pod `web` listens at 8080 alone.
async fn kubelet(mut request: Request<Incoming>) -> Response<Body> {
    match request.uri().path() {
        "/podProxy/default/web/8080" => {
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move { serve(TokioIo::new(upgrade.await.unwrap()), web).await });
            switching("tcp")
        }
        path if path.starts_with("/podProxy/") => text(503, "dial tcp 10.244.0.9:9: the connection was refused"),
        path => text(200, &format!("{} {path}", request.method())),
    }
}

async fn web(mut request: Request<Incoming>) -> Response<Body> {
    match request.uri().path() {
        "/moved" => {
            let mut response = text(302, "");
            response.headers_mut().insert(header::LOCATION, "/there".parse().unwrap());
            response
        }
        "/raw" => {
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let (mut from, mut to) = split(TokioIo::new(upgrade.await.unwrap()));
                copy(&mut from, &mut to).await
            });
            switching("echo")
        }
        _ => told(request).await,
    }
}

/// The request as it came.
async fn told(request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let headers: serde_json::Map<String, Value> =
        head.headers.iter().map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap()))).collect();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let told = json!({"method": head.method.as_str(), "uri": head.uri.to_string(), "headers": headers, "body": body});
    text(418, &told.to_string())
}

fn text(code: u16, text: &str) -> Response<Body> {
    Response::builder().status(code).body(Body::from(text.to_owned())).unwrap()
}

fn switching(protocol: &str) -> Response<Body> {
    let response = Response::builder().status(101).header("connection", "Upgrade").header("upgrade", protocol);
    response.body(Body::empty()).unwrap()
}

async fn server() -> Server {
    let server = Server::with(Config { nodes: Arc::new(Node), ..Config::default() }).await;
    server.post("/api/v1/nodes", &json!({"metadata": {"name": "n1"}})).await.expect(201);
    for (name, ip) in [("web", "10.244.0.9"), ("moved", "10.244.0.10"), ("new", "")] {
        let mut one = pod(name);
        one["spec"]["nodeName"] = json!("n1");
        one["spec"]["containers"][0]["ports"] = json!([{"containerPort": 8080}]);
        server.post(PODS, &one).await.expect(201);
        if !ip.is_empty() {
            let status = json!({"status": {"podIP": ip, "podIPs": [{"ip": ip}]}});
            server.patch(&format!("{PODS}/{name}/status"), "merge-patch", &status).await.expect(200);
        }
    }
    let ports = json!([{"name": "http", "port": 80, "targetPort": 8080}, {"name": "other", "port": 81}]);
    for name in ["front", "empty", "forged"] {
        let service = json!({"metadata": {"name": name}, "spec": {"selector": {"app": "web"}, "ports": ports}});
        server.post(SERVICES, &service).await.expect(201);
    }
    // The second leads to an address that its Pod does not have.
    for (name, pods) in [("front", &["web", "moved"][..]), ("forged", &["moved"])] {
        let address =
            |pod: &&str| json!({"ip": "10.244.0.9", "targetRef": {"kind": "Pod", "namespace": "default", "name": pod}});
        let addresses: Vec<Value> = pods.iter().map(address).collect();
        let subsets = json!([{"addresses": addresses, "ports": [{"name": "http", "port": 8080}]}]);
        let endpoints = json!({"metadata": {"name": name}, "subsets": subsets});
        server.post("/api/v1/namespaces/default/endpoints", &endpoints).await.expect(201);
    }
    server
}

#[tokio::test]
async fn a_request_goes_on_as_it_is_and_comes_back_as_it_was_answered() {
    let server = server().await;
    let sent = [("authorization", "Bearer secret"), ("connection", "x-hop"), ("x-hop", "1"), ("x-end", "2")];
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
        let path = format!("{PODS}/web/proxy//a/%2F?watch=1&q=%20");
        let told = server.send(method.clone(), &path, &sent, "body").await.expect(418).body;
        assert_eq!((&told["method"], &told["uri"]), (&json!(method.as_str()), &json!("//a/%2F?watch=1&q=%20")));
        assert_eq!(told["body"], "body");
        let headers = &told["headers"];
        assert_eq!((&headers["x-end"], &headers["x-forwarded-proto"]), (&json!("2"), &json!("https")));
        assert!(headers.get("authorization").is_none() && headers.get("x-hop").is_none(), "{headers}");
    }
    let head = server.send(Method::HEAD, &format!("{PODS}/web/proxy/"), &[], "").await.expect(418);
    assert!(head.text.is_empty());
}

#[tokio::test]
async fn pods_and_services_are_found_by_all_their_names() {
    let server = server().await;
    for (path, code, words) in [
        (format!("{PODS}/web/proxy/x"), 418, "\"/x\""),
        (format!("{PODS}/web:8080/proxy/x"), 418, "\"/x\""),
        (format!("{PODS}/http:web:8080/proxy/x"), 418, "\"/x\""),
        (format!("{PODS}/web:9/proxy/x"), 503, "dial tcp 10.244.0.9:9: the connection was refused"),
        (format!("{PODS}/https:web:8080/proxy/x"), 503, "error trying to reach service: tls: "),
        (format!("{PODS}/ftp:web:8080/proxy/x"), 400, "[SCHEME:]NAME[:PORT]"),
        (format!("{PODS}/web:http/proxy/x"), 400, "it is a number"),
        (format!("{PODS}/none:8080/proxy/x"), 404, "pods \"none\" not found"),
        (format!("{PODS}/new/proxy/x"), 503, "has no address"),
        (format!("{SERVICES}/front:80/proxy/x"), 418, "\"/x\""),
        (format!("{SERVICES}/front:http/proxy/x"), 418, "\"/x\""),
        (format!("{SERVICES}/http:front:http/proxy/x"), 418, "\"/x\""),
        (format!("{SERVICES}/front/proxy/x"), 503, "no endpoints available for service \"front\""),
        (format!("{SERVICES}/front:81/proxy/x"), 503, "no endpoints available for service \"front\""),
        (format!("{SERVICES}/front:82/proxy/x"), 503, "no service port 82 found for service \"front\""),
        (format!("{SERVICES}/empty:80/proxy/x"), 503, "no endpoints available for service \"empty\""),
        (format!("{SERVICES}/forged:80/proxy/x"), 503, "no endpoints available for service \"forged\""),
        (format!("{SERVICES}/none:80/proxy/x"), 404, "services \"none\" not found"),
        ("/api/v1/nodes/n1/proxy/stats/summary".to_owned(), 200, "GET /stats/summary"),
        ("/api/v1/nodes/n2/proxy/stats/summary".to_owned(), 404, "nodes \"n2\" not found"),
    ] {
        let answer = server.get(&path).await.expect(code);
        assert!(answer.text.contains(words) || answer.message().contains(words), "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_client_is_led_to_where_links_work() {
    let server = server().await;
    let bare = server.get(&format!("{PODS}/web/proxy?a=b")).await.expect(301);
    assert_eq!(bare.headers[header::LOCATION], format!("{PODS}/web/proxy/?a=b"));
    server.send(Method::POST, &format!("{PODS}/web/proxy"), &[], "").await.expect(418);
    let moved = server.get(&format!("{PODS}/web/proxy/moved")).await.expect(302);
    assert_eq!(moved.headers[header::LOCATION], format!("{PODS}/web/proxy/there"));
}

#[tokio::test]
async fn an_upgrade_passes_to_pods_and_not_to_kubelets() {
    let server = server().await;
    let listening = Listening::start(&server).await;
    for (path, code) in [(format!("{PODS}/web/proxy/raw"), 101), ("/api/v1/nodes/n1/proxy/exec".to_owned(), 400)] {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(listening.connect().await)).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        let request = Request::get(path).header("host", "localhost").header("connection", "Upgrade");
        let request = request.header("upgrade", "echo").body(Body::empty()).unwrap();
        let mut response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::from_u16(code).unwrap());
        if code == 101 {
            assert_eq!(response.headers()["upgrade"], "echo");
            let mut stream = TokioIo::new(hyper::upgrade::on(&mut response).await.unwrap());
            stream.write_all(b"and back").await.unwrap();
            let mut back = [0; 8];
            stream.read_exact(&mut back).await.unwrap();
            assert_eq!(&back, b"and back");
        }
    }
    listening.stop().await;
}
