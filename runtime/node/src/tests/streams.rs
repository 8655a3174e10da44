//! Exec and attach, as a client of the kubelet's API sees them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::{HeaderName, HeaderValue};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio_websockets::{ClientBuilder, Message, WebSocketStream};

use super::cluster::{Cluster, until};
use crate::runtime::Stream;
use crate::runtime::fake::FakeContainer;

const V5: &str = "v5.channel.k8s.io";

/// A client in the middle of a session.
pub(super) struct Client(WebSocketStream<DuplexStream>);

impl Client {
    pub(super) async fn open(cluster: &Cluster, path: &str, protocol: &'static str) -> Client {
        let (near, far) = tokio::io::duplex(1 << 16);
        let service = TowerToHyperService::new(cluster.router());
        tokio::spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            server.serve_connection_with_upgrades(TokioIo::new(far), service).await
        });
        let name = HeaderName::from_static("sec-websocket-protocol");
        let builder = ClientBuilder::new().uri(&format!("ws://node{path}")).unwrap();
        let builder = builder.add_header(name.clone(), HeaderValue::from_static(protocol)).unwrap();
        let (socket, response) = builder.connect_on(near).await.unwrap();
        assert_eq!(response.headers()[name], protocol);
        Client(socket)
    }

    pub(super) async fn say(&mut self, channel: u8, bytes: &[u8]) {
        let message = [&[channel], bytes].concat();
        self.0.send(Message::binary(message)).await.unwrap();
    }

    pub(super) async fn close(mut self) {
        self.0.close().await.unwrap();
    }

    /// The next message that carries something, with its channel; nothing after the last.
    pub(super) async fn hear(&mut self) -> Option<(u8, Bytes)> {
        while let Some(message) = self.0.next().await {
            let message = message.unwrap();
            if message.is_binary() && message.as_payload().len() > 1 {
                let mut bytes: Bytes = message.into_payload().into();
                return Some((bytes.split_to(1)[0], bytes));
            }
        }
        None
    }

    pub(super) async fn expect(&mut self, channel: u8, text: &str) {
        let (on, bytes) = self.hear().await.unwrap();
        assert_eq!((on, &*String::from_utf8_lossy(&bytes)), (channel, text));
    }

    /// How it ended, and that nothing comes after it.
    async fn verdict(&mut self) -> Value {
        let (channel, bytes) = self.hear().await.unwrap();
        assert_eq!(channel, 3);
        assert!(self.hear().await.is_none());
        serde_json::from_slice(&bytes).unwrap()
    }
}

pub(super) async fn running(cluster: &Cluster, spec: Value) -> Arc<FakeContainer> {
    let mut container = json!({"name": "a", "image": "app"});
    container.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    cluster.create("p", json!({"restartPolicy": "Never", "containers": [container]})).await;
    cluster.running("p").await;
    cluster.container("a", 0).await
}

#[tokio::test(start_paused = true)]
async fn a_command_is_run_and_its_code_told() {
    let cluster = Cluster::start().await;
    running(&cluster, json!({})).await;
    for (code, status) in [("0", "Success"), ("3", "Failure")] {
        let path = format!("/exec/default/p/a?output=1&error=1&command=exit&command={code}");
        let mut client = Client::open(&cluster, &path, V5).await;
        client.expect(1, &format!("exit {code}\n")).await;
        let verdict = client.verdict().await;
        assert_eq!(verdict["status"], status);
        if code != "0" {
            assert_eq!(verdict["details"]["causes"][0], json!({"reason": "ExitCode", "message": code}));
        }
    }
    let mut client = Client::open(&cluster, "/exec/default/p/a?output=1&error=1&command=sh", "v4.channel.k8s.io").await;
    client.expect(2, "exec: \"sh\": executable file not found: there is exit and wait\n").await;
    assert_eq!(client.verdict().await["details"]["causes"][0]["message"], "127");
}

#[tokio::test(start_paused = true)]
async fn a_command_ends_with_its_client_and_by_its_clients_keys() {
    let cluster = Cluster::start().await;
    let container = running(&cluster, json!({})).await;
    let wait = "/exec/default/p/a?input=1&output=1&command=wait";
    let mut client = Client::open(&cluster, wait, V5).await;
    client.expect(1, "wait\n").await;
    assert_eq!(container.execs(), 1);
    drop(client);
    until(|| (container.execs() == 0).then_some(())).await;

    let mut client = Client::open(&cluster, &format!("{wait}&tty=1"), V5).await;
    client.expect(1, "wait\r\n").await;
    client.say(4, br#"{"Width":80,"Height":24}"#).await;
    client.say(0, b"a\x03").await;
    client.expect(1, "a^C\r\n").await;
    assert_eq!(client.verdict().await["details"]["causes"][0]["message"], "130");
    assert_eq!(container.execs(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_given_up() {
    let cluster = Cluster::start().await;
    let container = running(&cluster, json!({})).await;
    // Nobody polls the client, so that it answers no ping.
    let _client = Client::open(&cluster, "/exec/default/p/a?output=1&command=wait", V5).await;
    until(|| (container.execs() == 1).then_some(())).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(container.execs(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_node_ends_its_sessions_with_itself() {
    let mut cluster = Cluster::start().await;
    let container = running(&cluster, json!({})).await;
    let mut client = Client::open(&cluster, "/exec/default/p/a?output=1&command=wait", V5).await;
    client.expect(1, "wait\n").await;
    cluster.stop_node().await;
    until(|| (container.execs() == 0).then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn attach_is_the_containers_own_input_and_output() {
    let cluster = Cluster::start().await;
    let container = running(&cluster, json!({"stdin": true, "stdinOnce": true})).await;
    let mut client = Client::open(&cluster, "/attach/default/p/a?input=1&output=1&error=1", V5).await;
    client.say(0, b"typed").await;
    client.say(255, &[0]).await;
    until(|| {
        container.output.write(Stream::Stderr, b"x");
        Some(())
    })
    .await;
    client.expect(2, "x").await;
    let input = container.input.clone();
    until(|| futures::FutureExt::now_or_never(input.write(Bytes::new())).and_then(Result::err)).await;
    container.output.write(Stream::Stdout, b"last\n");
    container.exit(3);
    client.expect(1, "last\n").await;
    assert_eq!(client.verdict().await["status"], "Success");
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused_before_anything_is_switched() {
    let cluster = Cluster::start().await;
    running(&cluster, json!({})).await;
    for (path, code, words) in [
        ("/exec/default/q/a?output=1&command=ls", 404, "pod \"q\" not found"),
        ("/exec/default/p/b?output=1&command=ls", 404, "container not found (\"b\")"),
        ("/exec/default/p/a?command=ls", 400, "at least 1 of stdin, stdout, stderr"),
        ("/exec/default/p/a?output=1", 400, "at least one command"),
        ("/exec/default/p/a?output=1&command=ls", 400, "Upgrade request required"),
        ("/attach/default/p/a?output=1", 400, "Upgrade request required"),
        ("/portForward/default/p", 400, "Upgrade request required"),
        ("/podProxy/default/q/80", 404, "pod \"q\" not found"),
        ("/podProxy/default/p/80", 400, "Upgrade: tcp is required"),
    ] {
        let (found, said) = cluster.kubelet(path).await;
        assert_eq!(found, code, "{path}: {said}");
        assert!(said.contains(words), "{path}: {said}");
    }
}
