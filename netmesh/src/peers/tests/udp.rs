use bytes::Bytes;
use futures::future::poll_fn;
use tokio::time::timeout;

use super::scene::{Cluster, LONG, address, receive, send};

#[tokio::test]
async fn datagrams_go_there_and_back() {
    let (_cluster, a, b) = Cluster::of_two().await;
    let (client, server) = (a.pod(9), b.pod(2));
    let near = client.bind_udp(address("0.0.0.0:4000")).unwrap();
    let far = server.bind_udp(address("0.0.0.0:53")).unwrap();
    send(&*near, "before there is a connection", "10.244.2.2:53").await.unwrap();
    let (question, from) = timeout(LONG, receive(&*far)).await.unwrap();
    assert_eq!((&*question, from), ("before there is a connection", address("10.244.1.9:4000")));
    send(&*far, "answer", "10.244.1.9:4000").await.unwrap();
    let (answer, from) = timeout(LONG, receive(&*near)).await.unwrap();
    assert_eq!((&*answer, from), ("answer", address("10.244.2.2:53")));
    send(&*near, "", "10.244.2.2:53").await.unwrap();
    assert_eq!(timeout(LONG, receive(&*far)).await.unwrap().0, "", "also empty ones");
}

#[tokio::test]
async fn datagrams_above_the_paths_mtu_arrive_whole() {
    let (_cluster, a, b) = Cluster::of_two().await;
    let (client, server) = (a.pod(9), b.pod(2));
    let near = client.bind_udp(address("0.0.0.0:4000")).unwrap();
    let far = server.bind_udp(address("0.0.0.0:53")).unwrap();
    for length in [1_000, 8 * 1024, 9_000, 32 * 1024, 65_507] {
        let bytes = Bytes::from((0..length).map(|at| (at % 251) as u8).collect::<Vec<u8>>());
        poll_fn(|cx| near.poll_send(cx, &bytes, address("10.244.2.2:53"))).await.unwrap();
        let received = timeout(LONG, poll_fn(|cx| far.poll_receive(cx))).await.unwrap().unwrap();
        assert!(received.bytes == bytes, "{length}: {} bytes arrived", received.bytes.len());
    }
}
