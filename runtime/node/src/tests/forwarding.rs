//! Port-forward on numbered channels, as a client of the kubelet's API sees it.

use std::future::poll_fn;
use std::sync::Arc;

use carob_net::{Network, TcpConnection, TcpStream};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::cluster::Cluster;
use super::streams::{Client, running};

const V4: &str = "v4.channel.k8s.io";

async fn accept(network: &dyn Network, address: &str) -> TcpConnection {
    let listener = network.bind_tcp(address.parse().unwrap()).unwrap().listen(1).unwrap();
    poll_fn(|cx| listener.poll_accept(cx)).await.unwrap()
}

/// Answers one connection with what it is sent, until that is `bye`.
async fn echo(network: Arc<dyn Network>, address: &'static str) {
    let mut stream = TcpStream::from(accept(&*network, address).await);
    let mut bytes = [0; 64];
    loop {
        let length = stream.read(&mut bytes).await.unwrap();
        stream.write_all(&bytes[..length]).await.unwrap();
        if matches!(&bytes[..length], b"bye" | b"") {
            return stream.shutdown().await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_port_has_two_channels_and_all_end_with_the_last() {
    let cluster = Cluster::start().await;
    let network = running(&cluster, json!({})).await.network.clone();
    tokio::spawn(echo(network.clone(), "127.0.0.1:7"));
    tokio::spawn(echo(network, "[::1]:300"));
    let mut client = Client::open(&cluster, "/portForward/default/p?port=7,9&port=300", V4).await;
    for (channel, port) in [(0, 7_u16), (1, 7), (2, 9), (3, 9), (4, 300), (5, 300)] {
        let (on, bytes) = client.hear().await.unwrap();
        assert_eq!((on, &*bytes), (channel, &port.to_le_bytes()[..]));
    }
    client.expect(3, "error forwarding port 9 to pod: the connection was refused").await;
    for (channel, word) in [(0, "one"), (4, "other"), (0, "two")] {
        client.say(channel, word.as_bytes()).await;
        client.expect(channel, word).await;
    }
    client.say(2, b"nobody hears").await;
    client.say(0, b"bye").await;
    client.expect(0, "bye").await;
    client.say(4, b"bye").await;
    client.expect(4, "bye").await;
    assert!(client.hear().await.is_none(), "the last port has ended");
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_the_client_went_arrives() {
    let cluster = Cluster::start().await;
    let network = running(&cluster, json!({})).await.network.clone();
    let server = tokio::spawn(async move {
        let mut stream = TcpStream::from(accept(&*network, "127.0.0.1:7").await);
        let mut text = String::new();
        stream.read_to_string(&mut text).await.map(|_| text)
    });
    let mut client = Client::open(&cluster, "/portForward/default/p?port=7", V4).await;
    for _ in 0..1000 {
        client.say(0, b"0123456789").await;
    }
    client.close().await;
    assert_eq!(server.await.unwrap().unwrap().len(), 10_000);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_vanishes_takes_its_connections_with_it() {
    let cluster = Cluster::start().await;
    let network = running(&cluster, json!({})).await.network.clone();
    let server = tokio::spawn(async move {
        let mut stream = TcpStream::from(accept(&*network, "127.0.0.1:7").await);
        stream.read_to_end(&mut Vec::new()).await
    });
    let client = Client::open(&cluster, "/portForward/default/p?port=7", V4).await;
    drop(client);
    let _ended = server.await.unwrap();
}
