use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::scene::{Scene, ask, greeting, held, length};
use crate::ingress::{Limits, Timeouts};

const RULES: &[(&str, &str, &str)] = &[("a.example", "/", "web")];

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_whether_it_says_so_or_not() {
    let scene = Scene::with(RULES, Limits { body_bytes: 10, ..Limits::default() }, Timeouts::default()).await;
    scene.serve("web", 1, length());
    let answer = scene.post("a.example", "0123456789").await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "10"));
    assert_eq!(scene.post("a.example", "0123456789x").await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let chunked = "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
                   6\r\n012345\r\n6\r\n012345\r\n0\r\n\r\n";
    let answer = scene.raw(chunked).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_and_logged_and_a_huge_one_is_refused_unread() {
    let scene = Scene::with(RULES, Limits { head_bytes: 8192, ..Limits::default() }, Timeouts::default()).await;
    scene.serve("web", 1, greeting("hello"));
    let head = |bytes: usize| {
        format!("GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nX-Long: {}\r\n\r\n", "x".repeat(bytes))
    };
    assert!(scene.raw(&head(8000)).await.starts_with("HTTP/1.1 200 "));
    assert!(scene.raw(&head(9000)).await.starts_with("HTTP/1.1 431 "));
    assert!(scene.logged(2).await[1].contains(" 431 "));
    let mut stream = TcpStream::connect(scene.address).await.unwrap();
    // It is refused before it has ended.
    stream.write_all(&head(40_000).as_bytes()[..30_000]).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_request_without_a_host_is_a_mistake() {
    let scene = Scene::new(RULES).await;
    let answer = scene.raw("GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 400 "), "{answer}");
}

#[tokio::test]
async fn who_sends_its_head_slowly_is_cut_off() {
    let timeouts = Timeouts { head: Duration::from_millis(50), ..Timeouts::default() };
    let scene = Scene::with(RULES, Limits::default(), timeouts).await;
    assert_eq!(scene.raw("GET / HTTP/1.1\r\nHost: a.exam").await, "");
    assert_eq!(scene.raw("").await, "", "and who sends nothing");
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time() {
    let timeouts = Timeouts { idle: Duration::from_millis(50), ..Timeouts::default() };
    let scene = Scene::with(RULES, Limits::default(), timeouts).await;
    scene.serve("web", 1, greeting("hello"));
    // The answer says nothing of an end, and the client keeps the connection.
    assert!(scene.raw("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await.ends_with("hello"));
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_by_whose_fault_it_is() {
    let timeouts = Timeouts { request: Duration::from_millis(50), ..Timeouts::default() };
    let scene = Scene::with(RULES, Limits::default(), timeouts).await;
    scene.serve("web", 1, held(Arc::new(Semaphore::new(0))));
    let answer = ask(scene.address, "a.example").await;
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (StatusCode::GATEWAY_TIMEOUT, "the endpoint did not answer in time\n")
    );
    let half = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\nConnection: close\r\n\r\n01234";
    let answer = scene.raw(half).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn past_the_most_connections_clients_wait_until_one_has_gone() {
    let scene = Scene::with(RULES, Limits { connections: 1, ..Limits::default() }, Timeouts::default()).await;
    scene.serve("web", 1, greeting("hello"));
    let mut first = TcpStream::connect(scene.address).await.unwrap();
    first.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    first.read_exact(&mut answer).await.unwrap();
    let waiting = tokio::spawn(ask(scene.address, "a.example"));
    // Those that wait are not counted: one is served.
    scene.logged(1).await;
    assert!(scene.figures.text().contains("carob_ingress_connections 1"));
    assert!(!waiting.is_finished());
    drop(first);
    assert_eq!(waiting.await.unwrap().text, "hello");
}
