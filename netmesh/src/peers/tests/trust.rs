//! Who may say what.

use std::time::{Duration, SystemTime};

use carob_net::{NetworkError, Networks, Protocol, Reason};
use tokio::time::timeout;

use super::scene::{
    Cluster, LONG, Node, accept, address, authority, connect, credentials, later, listen, receive, send,
};
use crate::peers::elsewhere::Elsewhere;
use crate::peers::peer::Standing;

/// Flows that a node has refused since they were not their sender's.
fn forged(node: &Node, protocol: Protocol) -> u64 {
    let is_forged = |denied: &&carob_net::Denied| denied.reason == Reason::Forged && denied.protocol == protocol;
    node.mesh.denied().iter().filter(is_forged).map(|denied| denied.flows).sum()
}

/// Why the way to a node is not there, once it was tried.
async fn why_down(elsewhere: &Elsewhere, name: &str) -> String {
    let mut standing = elsewhere.peer(name).unwrap().standing();
    let down = timeout(LONG, standing.wait_for(|standing| matches!(standing, Standing::Down(_)))).await.unwrap();
    match &*down.unwrap() {
        Standing::Down(why) => why.to_string(),
        Standing::Idle | Standing::Up(_) => unreachable!("it was waited for"),
    }
}

#[tokio::test]
async fn whoever_answers_has_to_be_the_node_that_was_meant() {
    let mut cluster = Cluster::new();
    let (a, b) = (cluster.node("a", 1).await, cluster.node("b", 2).await);
    cluster.place("c", 3, b.at).await;
    let client = a.pod(9);
    assert_eq!(connect(&client, "10.244.3.2:80").await.err(), Some(NetworkError::RemoteUnreachable));
    let why = why_down(&a.mesh.shared().elsewhere, "c").await;
    assert!(why.contains("expected: \"c\", found: \"b\""), "{why}");
}

#[tokio::test]
async fn a_certificate_of_another_authority_or_of_the_past_is_of_no_use_until_it_is_renewed() {
    let mut cluster = Cluster::new();
    let a = cluster.node("a", 1).await;
    let other = authority();
    let (mut nodes, past) = (Vec::new(), SystemTime::now() - Duration::from_secs(60));
    for (number, name, shown) in [
        (2, "b", credentials(&other, "b", later(), &cluster.authority)),
        (3, "c", credentials(&cluster.authority, "c", past, &cluster.authority)),
    ] {
        let node = cluster.unknown_node(number, vec![], shown).await;
        cluster.place(name, number, node.at).await;
        let server = node.pod(2);
        let listener = listen(&server, "0.0.0.0:80");
        let to = format!("10.244.{number}.2:80");
        let client = a.pod(number);
        assert_eq!(connect(&client, &to).await.err(), Some(NetworkError::RemoteUnreachable), "{name}");
        let why = why_down(&a.mesh.shared().elsewhere, name).await;
        assert!(why.contains("certificate"), "{why}");

        node.credentials.send_replace(credentials(&cluster.authority, name, later(), &cluster.authority));
        let connected = async {
            while connect(&client, &to).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            accept(&*listener).await
        };
        timeout(LONG, connected).await.unwrap();
        nodes.push(node);
    }
}

#[tokio::test]
async fn one_that_dials_with_a_certificate_of_another_authority_is_turned_away() {
    let mut cluster = Cluster::new();
    let b = cluster.node("b", 2).await;
    let server = b.pod(2);
    let _listener = listen(&server, "0.0.0.0:80");
    let intruder = cluster.unknown_node(1, vec![], credentials(&authority(), "a", later(), &cluster.authority)).await;
    cluster.place("a", 1, intruder.at).await;
    assert!(connect(&intruder.pod(9), "10.244.2.2:80").await.is_err());
    assert_eq!(forged(&b, Protocol::Tcp), 0, "it does not come so far");
}

#[tokio::test]
async fn a_node_that_is_in_no_table_is_turned_away() {
    let mut cluster = Cluster::new();
    let b = cluster.node("b", 2).await;
    let server = b.pod(2);
    let _listener = listen(&server, "0.0.0.0:80");
    let own = credentials(&cluster.authority, "stranger", later(), &cluster.authority);
    let stranger = cluster.unknown_node(7, vec![], own).await;
    assert!(connect(&stranger.pod(9), "10.244.2.2:80").await.is_err());
}

#[tokio::test]
async fn a_pod_that_claims_anothers_address_is_refused() {
    let mut cluster = Cluster::new();
    let (a, b, _c) = (cluster.node("a", 1).await, cluster.node("b", 2).await, cluster.node("c", 3).await);
    let server = b.pod(2);
    let _listener = listen(&server, "0.0.0.0:80");
    for (claimed, why) in [
        ("10.244.3.9", "10.244.3.9 is a Pod's address of node c, not of a, which sent the flow"),
        ("10.244.2.9", "10.244.2.9 is a Pod's address of node b, not of a, which sent the flow"),
        ("10.244.9.9", "10.244.9.9 is no Pod's address of node a, which sent the flow"),
    ] {
        let forger = a.pod_at(claimed.parse().unwrap());
        let refused = connect(&forger, "10.244.2.2:80").await.err();
        assert_eq!(refused, Some(NetworkError::AccessDenied(why.into())), "{claimed}");
    }
    assert_eq!(forged(&b, Protocol::Tcp), 3);
    let client = a.mesh.connect_inside(address("10.244.3.9:4000"), address("10.244.2.2:80")).await.err();
    assert!(matches!(client, Some(NetworkError::AccessDenied(_))), "a client from outside is no Pod: {client:?}");
}

#[tokio::test]
async fn a_datagram_with_anothers_address_is_lost_and_counted() {
    let (_cluster, a, b) = Cluster::of_two().await;
    let (server, forger, client) = (b.pod(2), a.pod_at("10.244.9.9".parse().unwrap()), a.pod(9));
    let far = server.bind_udp(address("0.0.0.0:53")).unwrap();
    let liar = forger.bind_udp(address("0.0.0.0:4000")).unwrap();
    let honest = client.bind_udp(address("0.0.0.0:4000")).unwrap();
    // What is sent before there is a connection keeps its order.
    send(&*liar, "forged", "10.244.2.2:53").await.unwrap();
    send(&*honest, "honest", "10.244.2.2:53").await.unwrap();
    assert_eq!(timeout(LONG, receive(&*far)).await.unwrap().0, "honest");
    assert_eq!(forged(&b, Protocol::Udp), 1);
}
