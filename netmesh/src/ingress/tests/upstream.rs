use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::scene::{Scene, greeting};

const RULES: &[(&str, &str, &str)] = &[("a.example", "/", "web")];

/// A server at a socket of a Pod that says what it was asked.
async fn say_what_was_asked(stream: carob_net::TcpStream) {
    let service = service_fn(|request: Request<Incoming>| async move {
        let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (host, client) = (header("host").unwrap(), header("x-forwarded-for").unwrap());
        let text = format!("{} {host} {} for {client}", request.method(), request.uri());
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(text)))
    });
    // It ends with the gateway's connection.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

#[tokio::test]
async fn a_pod_that_listens_at_a_socket_is_asked_by_http1_over_connections_that_are_kept() {
    let scene = Scene::new(RULES).await;
    let opened = Arc::new(AtomicUsize::new(0));
    let counted = opened.clone();
    scene.listen("web", 1, move |stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        say_what_was_asked(stream)
    });
    for version in [Version::HTTP_11, Version::HTTP_2, Version::HTTP_11] {
        let answer = scene.get(version, "a.example:8080", "/x?y").await;
        assert_eq!(answer.text, "GET a.example:8080 /x?y for 127.0.0.1", "{version:?}");
    }
    assert_eq!(opened.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_that_the_endpoint_has_closed_is_replaced_without_the_client_seeing_it() {
    let scene = Scene::new(RULES).await;
    scene.listen("web", 1, async |mut stream: carob_net::TcpStream| {
        let mut head = [0; 1024];
        let _ = stream.read(&mut head).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        // Closed without a word, as servers do whose patience ends.
    });
    for _ in 0..20 {
        assert_eq!(scene.get(Version::HTTP_11, "a.example", "/").await.text, "ok");
    }
}

#[tokio::test]
async fn an_endpoint_that_breaks_off_is_a_bad_gateway() {
    let scene = Scene::new(RULES).await;
    scene.listen("web", 1, async |mut stream: carob_net::TcpStream| {
        let mut head = [0; 1024];
        let _ = stream.read(&mut head).await;
    });
    let answer = scene.get(Version::HTTP_11, "a.example", "/").await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{}", answer.text);
}

/// Agrees to go on with `echo`, and sends back what comes.
async fn agree_and_echo(mut stream: carob_net::TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.contains("upgrade: echo") && head.contains("connection: upgrade"), "{head}");
    stream
        .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello ")
        .await
        .unwrap();
    let mut piece = [0; 64];
    while let Ok(length @ 1..) = stream.read(&mut piece).await {
        stream.write_all(&piece[..length]).await.unwrap();
    }
}

const UPGRADE: &[u8] = b"GET /echo HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

#[tokio::test]
async fn an_upgrade_goes_through_to_a_pod_that_listens_at_a_socket() {
    let scene = Scene::new(RULES).await;
    scene.listen("web", 1, agree_and_echo);
    let mut stream = TcpStream::connect(scene.address).await.unwrap();
    stream.write_all(UPGRADE).await.unwrap();
    stream.write_all(b"and more").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.to_lowercase().contains("upgrade: echo"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nhello and more"), "{answer}");
    assert!(scene.logged(1).await[0].contains(" 101 "));
}

#[tokio::test]
async fn what_answers_http_in_this_process_is_asked_without_the_upgrade() {
    let scene = Scene::new(RULES).await;
    scene.serve("web", 1, greeting("no upgrade here"));
    let mut stream = TcpStream::connect(scene.address).await.unwrap();
    stream.write_all(UPGRADE).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("no upgrade here"), "{answer}");
    assert_eq!(answer.matches("no upgrade here").count(), 2, "the connection goes on as HTTP");
}
