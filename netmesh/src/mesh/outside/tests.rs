use std::net::SocketAddr;
use std::time::Duration;

use carob_net::{DecisionPoint, Flow, KeepAlive, Party, Protocol, Workload};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::*;
use crate::mesh::{Mesh, MeshConfig};

const KEEP_ALIVE: KeepAlive = KeepAlive { idle: Duration::from_secs(60), interval: Duration::from_secs(5), count: 3 };

/// A Pod of a node that may have so many sockets of the host.
fn pod(host_sockets: usize) -> Pod {
    let mesh = Mesh::new(MeshConfig { host_sockets, ..MeshConfig::default() });
    let workload = Workload {
        namespace: "default".into(),
        name: "pod".into(),
        addresses: vec![],
        hosts: vec![],
        names: Default::default(),
    };
    Pod::new(mesh.shared().clone(), workload)
}

fn passed(pod: &Pod, to: SocketAddr) -> Passed {
    let (from, port) = (Party::Workload(&pod.workload), to.port());
    let flow = Flow { protocol: Protocol::Tcp, from, to: Party::Outside(to.ip()), port, is_answer: false };
    DecisionPoint::new(vec![]).decide(&flow).unwrap()
}

type Connected = ((OutsideTransmit, OutsideReceive), OutsideControl);

async fn connected(pod: &Pod, to: SocketAddr, options: TcpOptions) -> Result<Connected, NetworkError> {
    connect(pod, passed(pod, to), to, options).await
}

/// What the host says of the socket.
fn set(control: &OutsideControl) -> (usize, usize, u32, Option<(Duration, Duration, u32)>) {
    let socket = control.0.upgrade().unwrap();
    let socket = SockRef::from(&socket.stream);
    let probes = socket.keepalive().unwrap().then(|| {
        let interval = socket.tcp_keepalive_interval().unwrap();
        (socket.tcp_keepalive_time().unwrap(), interval, socket.tcp_keepalive_retries().unwrap())
    });
    (socket.recv_buffer_size().unwrap(), socket.send_buffer_size().unwrap(), socket.ttl_v4().unwrap(), probes)
}

#[tokio::test]
async fn options_are_those_of_the_hosts_socket_from_the_start_and_while_it_is_used() {
    let host = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = TcpOptions {
        receive_buffer: Some(10_000),
        send_buffer: Some(20_000),
        keep_alive: Some(KEEP_ALIVE),
        hop_limit: 9,
    };
    let (_halves, control) = connected(&pod(8), host.local_addr().unwrap(), options).await.unwrap();
    // Linux sets twice what it is asked for.
    let probes = Some((KEEP_ALIVE.idle, KEEP_ALIVE.interval, KEEP_ALIVE.count));
    assert_eq!(set(&control), (20_000, 40_000, 9, probes));
    let changed = TcpOptions { receive_buffer: Some(30_000), keep_alive: None, hop_limit: 99, ..options };
    control.set_options(&changed).unwrap();
    assert_eq!(set(&control), (60_000, 40_000, 99, None));
}

#[tokio::test]
async fn buffers_that_nobody_has_set_are_the_hosts_to_choose() {
    let host = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = host.local_addr().unwrap();
    let (_halves, control) = connected(&pod(8), at, TcpOptions::default()).await.unwrap();
    let plain = TcpStream::connect(at).await.unwrap();
    let plain = SockRef::from(&plain);
    let (receive, send, hops, probes) = set(&control);
    assert_eq!((receive, send), (plain.recv_buffer_size().unwrap(), plain.send_buffer_size().unwrap()));
    assert_eq!((hops, probes), (64, None));
}

#[tokio::test]
async fn a_connection_that_is_dropped_is_reset_also_where_its_options_are_still_held() {
    let host = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (halves, control) = connected(&pod(8), host.local_addr().unwrap(), TcpOptions::default()).await.unwrap();
    let (mut far, _) = host.accept().await.unwrap();
    drop(halves);
    assert_eq!(far.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    control.set_options(&TcpOptions::default()).unwrap();
}

#[tokio::test]
async fn all_pods_together_have_so_many_sockets_of_the_host() {
    let host = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (pod, at) = (pod(2), host.local_addr().unwrap());
    let first = connected(&pod, at, TcpOptions::default()).await.unwrap();
    let _second = connected(&pod, at, TcpOptions::default()).await.unwrap();
    let third = connected(&pod, at, TcpOptions::default()).await;
    assert_eq!(third.err(), Some(NetworkError::LimitReached));
    drop(first);
    assert!(connected(&pod, at, TcpOptions::default()).await.is_ok());
}

#[tokio::test]
async fn to_look_whether_something_has_arrived_takes_nothing() {
    use std::future::poll_fn;
    use tokio::io::AsyncWriteExt;
    let host = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ((_transmit, mut receive), _control) =
        connected(&pod(8), host.local_addr().unwrap(), TcpOptions::default()).await.unwrap();
    let (mut far, _) = host.accept().await.unwrap();
    assert!(futures::poll!(poll_fn(|cx| receive.poll_readable(cx))).is_pending());
    far.write_all(b"here").await.unwrap();
    poll_fn(|cx| receive.poll_readable(cx)).await;
    assert_eq!(poll_fn(|cx| receive.poll_receive(cx, 100)).await, Ok(Some("here".into())));
    drop(far);
    poll_fn(|cx| receive.poll_readable(cx)).await;
    assert_eq!(poll_fn(|cx| receive.poll_receive(cx, 100)).await, Ok(None));
}
