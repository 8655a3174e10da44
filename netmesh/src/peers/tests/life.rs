//! Connections that come, break, move and end.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use carob_net::{Network, NetworkError, TcpListener, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::scene::{Cluster, LONG, accept, connect, listen, until};
use crate::peers::peer::Standing;

/// A wire to one node, that may be cut, and whose other end may move.
struct Wire {
    at: SocketAddr,
    is_cut: Arc<AtomicBool>,
    moves: Arc<Notify>,
    _carrying: AbortOnDropHandle<()>,
}

impl Wire {
    async fn to(node: SocketAddr) -> Wire {
        let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let at = near.local_addr().unwrap();
        let (is_cut, moves) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
        let carrying = tokio::spawn(carry(near, node, is_cut.clone(), moves.clone()));
        Wire { at, is_cut, moves, _carrying: AbortOnDropHandle::new(carrying) }
    }
}

async fn carry(near: UdpSocket, node: SocketAddr, is_cut: Arc<AtomicBool>, moves: Arc<Notify>) {
    let mut far = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (mut there, mut back) = (vec![0; 65_536], vec![0; 65_536]);
    let mut dialler = None;
    loop {
        tokio::select! {
            () = moves.notified() => far = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(),
            Ok((length, from)) = near.recv_from(&mut there) => {
                dialler = Some(from);
                if !is_cut.load(Ordering::Relaxed) {
                    let _ = far.send_to(&there[..length], node).await;
                }
            }
            Ok((length, _)) = far.recv_from(&mut back) => {
                if let Some(dialler) = dialler.filter(|_| !is_cut.load(Ordering::Relaxed)) {
                    let _ = near.send_to(&back[..length], dialler).await;
                }
            }
        }
    }
}

/// A connection to `10.244.2.2:80`, as soon as there can be one.
async fn connected(client: &Arc<dyn Network>, listener: &dyn TcpListener) -> (TcpStream, TcpStream) {
    let near = async {
        loop {
            match connect(client, "10.244.2.2:80").await {
                Ok(near) => return near,
                Err(NetworkError::RemoteUnreachable) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    let near = timeout(LONG, near).await.unwrap();
    (near.into(), accept(listener).await.into())
}

async fn say(from: &mut TcpStream, to: &mut TcpStream) {
    from.write_all(b"x").await.unwrap();
    assert_eq!(timeout(LONG, to.read_u8()).await.unwrap().unwrap(), b'x');
}

async fn is_reset(stream: &mut TcpStream) {
    let read = timeout(LONG, stream.read_u8()).await.unwrap();
    assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_node_that_is_cut_off_is_noticed_and_comes_back() {
    let mut cluster = Cluster::new();
    cluster.limits.dead_after = Duration::from_secs(2);
    cluster.limits.dial_timeout = Duration::from_secs(2);
    let (a, b) = (cluster.node("a", 1).await, cluster.node("b", 2).await);
    let wires = [Wire::to(a.at).await, Wire::to(b.at).await];
    cluster.place("a", 1, wires[0].at).await;
    cluster.place("b", 2, wires[1].at).await;
    let (client, server) = (a.pod(9), b.pod(2));
    let listener = listen(&server, "0.0.0.0:80");
    let (mut near, mut far) = connected(&client, &*listener).await;
    say(&mut near, &mut far).await;

    wires.iter().for_each(|wire| wire.is_cut.store(true, Ordering::Relaxed));
    is_reset(&mut near).await;
    is_reset(&mut far).await;
    let refused = timeout(LONG, connect(&client, "10.244.2.2:80")).await.unwrap();
    assert_eq!(refused.err(), Some(NetworkError::RemoteUnreachable));

    wires.iter().for_each(|wire| wire.is_cut.store(false, Ordering::Relaxed));
    let (mut near, mut far) = connected(&client, &*listener).await;
    say(&mut near, &mut far).await;
}

#[tokio::test]
async fn a_flow_goes_on_when_the_address_of_the_node_that_dialled_changes() {
    let mut cluster = Cluster::new();
    let (a, b) = (cluster.node("a", 1).await, cluster.node("b", 2).await);
    let wire = Wire::to(b.at).await;
    cluster.place("b", 2, wire.at).await;
    let (client, server) = (a.pod(9), b.pod(2));
    let listener = listen(&server, "0.0.0.0:80");
    let (mut near, mut far) = connected(&client, &*listener).await;
    for _ in 0..3 {
        say(&mut near, &mut far).await;
        wire.moves.notify_one();
        say(&mut near, &mut far).await;
        say(&mut far, &mut near).await;
    }
}

#[tokio::test]
async fn a_node_is_reached_where_it_has_moved_while_old_flows_go_on() {
    let mut cluster = Cluster::new();
    let (a, b) = (cluster.node("a", 1).await, cluster.node("b", 2).await);
    let (first, second) = (Wire::to(b.at).await, Wire::to(b.at).await);
    cluster.place("b", 2, first.at).await;
    let (client, server) = (a.pod(9), b.pod(2));
    let listener = listen(&server, "0.0.0.0:80");
    let (mut near, mut far) = connected(&client, &*listener).await;
    say(&mut near, &mut far).await;
    cluster.place("b", 2, second.at).await;
    let standing = a.mesh.shared().elsewhere.peer("b").unwrap().standing();
    let is_there = |standing: &Standing| matches!(standing, Standing::Up(up) if up.quic.remote_address() == second.at);
    until(|| is_there(&standing.borrow())).await;
    say(&mut near, &mut far).await;

    first.is_cut.store(true, Ordering::Relaxed);
    let (mut near, mut far) = connected(&client, &*listener).await;
    say(&mut near, &mut far).await;
}

#[tokio::test]
async fn a_node_that_starts_again_is_reached_again() {
    let (mut cluster, a, mut b) = Cluster::of_two().await;
    let client = a.pod(9);
    let server = b.pod(2);
    let listener = listen(&server, "0.0.0.0:80");
    let (mut near, _far) = connected(&client, &*listener).await;
    b.stop().await;
    is_reset(&mut near).await;

    let b = cluster.node("b", 2).await;
    let server = b.pod(2);
    let listener = listen(&server, "0.0.0.0:80");
    let (mut near, mut far) = connected(&client, &*listener).await;
    say(&mut near, &mut far).await;
}

#[tokio::test]
async fn a_node_that_is_deleted_from_the_cluster_is_cut_off() {
    let (mut cluster, a, b) = Cluster::of_two().await;
    let (client, server) = (a.pod(9), b.pod(2));
    let listener = listen(&server, "0.0.0.0:80");
    let (mut near, mut far) = connected(&client, &*listener).await;
    say(&mut near, &mut far).await;
    cluster.forget("b").await;
    is_reset(&mut near).await;
    is_reset(&mut far).await;
    assert_eq!(connect(&client, "10.244.2.2:80").await.err(), Some(NetworkError::RemoteUnreachable));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_dial_each_other_at_once_keep_one_connection() {
    for _ in 0..5 {
        let (_cluster, a, b) = Cluster::of_two().await;
        let pods = [a.pod(2), b.pod(2)];
        let listeners = pods.each_ref().map(|pod| listen(pod, "0.0.0.0:80"));
        let (to_b, to_a) = tokio::join!(connect(&pods[0], "10.244.2.2:80"), connect(&pods[1], "10.244.1.2:80"));
        let (mut to_b, mut to_a) = (TcpStream::from(to_b.unwrap()), TcpStream::from(to_a.unwrap()));
        let mut at_a = TcpStream::from(accept(&*listeners[0]).await);
        let mut at_b = TcpStream::from(accept(&*listeners[1]).await);
        say(&mut to_b, &mut at_b).await;
        say(&mut to_a, &mut at_a).await;
        drop((to_a, to_b, at_a, at_b));
        until(|| (a.quic.open_connections(), b.quic.open_connections()) == (1, 1)).await;
    }
}
