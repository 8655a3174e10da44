use carob_net::{NetworkError, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::scene::{accept, accept_now, address, connect, connect_from, denied_flows, join, listen, meet, mesh, pod};
use crate::mesh::{Caps, Mesh, MeshConfig};

#[tokio::test]
async fn who_reaches_a_listener_depends_on_where_it_is_bound() {
    let mesh = mesh();
    let (own, other) = (pod(&mesh, 2), pod(&mesh, 3));
    for (bound, to, from_inside, from_outside) in [
        ("0.0.0.0:80", "127.0.0.1:80", true, false),
        ("0.0.0.0:80", "127.9.9.9:80", true, false),
        ("0.0.0.0:80", "10.244.0.2:80", true, true),
        ("127.0.0.1:80", "127.0.0.1:80", true, false),
        ("127.0.0.1:80", "10.244.0.2:80", false, false),
        ("10.244.0.2:80", "10.244.0.2:80", true, true),
        ("10.244.0.2:80", "127.0.0.1:80", false, false),
        ("[::]:80", "[::1]:80", true, false),
        ("[::]:80", "[fd00::2]:80", true, true),
        ("[::]:80", "10.244.0.2:80", false, false),
    ] {
        let _listener = listen(&own, bound);
        assert_eq!(connect(&own, to).await.is_ok(), from_inside, "{bound} from inside at {to}");
        assert_eq!(connect(&other, to).await.is_ok(), from_outside, "{bound} from another Pod at {to}");
    }
}

#[tokio::test]
async fn both_ends_see_each_others_addresses() {
    let mesh = mesh();
    let (server, client) = (pod(&mesh, 2), pod(&mesh, 3));
    let listener = listen(&server, "0.0.0.0:80");
    for (from, to, seen) in
        [("0.0.0.0:4000", "10.244.0.2:80", "10.244.0.3:4000"), ("10.244.0.3:4001", "10.244.0.2:80", "10.244.0.3:4001")]
    {
        let near = connect_from(&client, from, to).await.unwrap();
        let far = accept(&*listener).await;
        assert_eq!((near.local, near.remote), (address(seen), address(to)));
        assert_eq!((far.local, far.remote), (address(to), address(seen)));
    }
    let near = connect_from(&server, "0.0.0.0:4000", "127.0.0.1:80").await.unwrap();
    assert_eq!(near.local, address("127.0.0.1:4000"));
    let near = connect_from(&server, "0.0.0.0:4001", "10.244.0.2:80").await.unwrap();
    assert_eq!(near.local, address("10.244.0.2:4001"), "to its own address it comes from there");
}

#[tokio::test]
async fn what_cannot_be_reached_says_why() {
    let mesh = mesh();
    let own = pod(&mesh, 2);
    let _other = pod(&mesh, 3);
    for (from, to, why) in [
        ("0.0.0.0:0", "127.0.0.1:80", NetworkError::ConnectionRefused),
        ("0.0.0.0:0", "10.244.0.3:80", NetworkError::ConnectionRefused),
        ("0.0.0.0:0", "10.244.0.3:0", NetworkError::ConnectionRefused),
        ("0.0.0.0:0", "10.244.0.4:80", NetworkError::RemoteUnreachable),
        ("0.0.0.0:0", "10.96.0.77:80", NetworkError::ConnectionRefused),
        ("127.0.0.1:0", "10.244.0.3:80", NetworkError::RemoteUnreachable),
        ("[::]:0", "10.244.0.3:80", NetworkError::RemoteUnreachable),
    ] {
        assert_eq!(connect_from(&own, from, to).await.err(), Some(why), "{from} to {to}");
    }
    for to in ["169.254.169.254:80", "224.0.0.1:80", "0.0.0.0:80", "[fe80::1]:80", "255.255.255.255:80"] {
        let denied = connect(&own, to).await.err();
        assert!(matches!(denied, Some(NetworkError::AccessDenied(_))), "{to}: {denied:?}");
    }
    assert_eq!(denied_flows(&mesh, Protocol::Tcp), 5);
}

#[tokio::test]
async fn bytes_go_both_ways_and_each_way_ends_by_itself() {
    let mesh = mesh();
    let (server, client) = (pod(&mesh, 2), pod(&mesh, 3));
    let listener = listen(&server, "0.0.0.0:80");
    let (mut near, mut far) = meet(&client, &*listener, "10.244.0.2:80").await;

    let text = "x".repeat(300_000);
    let ask = async {
        near.write_all(text.as_bytes()).await.unwrap();
        near.shutdown().await.unwrap();
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = async {
        let mut question = String::new();
        far.read_to_string(&mut question).await.unwrap();
        far.write_all(question.len().to_string().as_bytes()).await.unwrap();
        far.shutdown().await.unwrap();
    };
    assert_eq!(tokio::join!(ask, answer).0, "300000");
    assert_eq!((client.traffic().sent, client.traffic().received), (300_000, 6));
    assert_eq!((server.traffic().sent, server.traffic().received), (6, 300_000));
}

#[tokio::test]
async fn loopback_is_not_metered() {
    let mesh = mesh();
    let own = pod(&mesh, 2);
    let listener = listen(&own, "127.0.0.1:80");
    let (mut near, mut far) = meet(&own, &*listener, "127.0.0.1:80").await;
    near.write_all(b"hello").await.unwrap();
    far.read_exact(&mut [0; 5]).await.unwrap();
    assert_eq!(own.traffic(), carob_net::Traffic::default());
}

#[tokio::test]
async fn an_end_that_is_dropped_resets_the_other() {
    let mesh = mesh();
    let (server, client) = (pod(&mesh, 2), pod(&mesh, 3));
    let listener = listen(&server, "0.0.0.0:80");
    let (mut near, far) = meet(&client, &*listener, "10.244.0.2:80").await;
    drop(far);
    let reset = near.read_u8().await.unwrap_err();
    assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn as_many_wait_as_the_backlog_says_and_the_next_is_refused() {
    let mesh = mesh();
    let (server, client) = (pod(&mesh, 2), pod(&mesh, 3));
    let listener = server.bind_tcp(address("0.0.0.0:80")).unwrap().listen(2).unwrap();
    let waiting = [connect(&client, "10.244.0.2:80").await.unwrap(), connect(&client, "10.244.0.2:80").await.unwrap()];
    assert_eq!(connect(&client, "10.244.0.2:80").await.err(), Some(NetworkError::ConnectionRefused));
    listener.set_backlog(3);
    assert!(connect(&client, "10.244.0.2:80").await.is_ok());
    assert!(accept_now(&*listener).is_some());

    drop(listener);
    for connection in waiting.into_iter().skip(1) {
        let mut near = carob_net::TcpStream::from(connection);
        assert_eq!(near.read_u8().await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    }
    assert_eq!(connect(&client, "10.244.0.2:80").await.err(), Some(NetworkError::ConnectionRefused));
}

#[tokio::test]
async fn an_accepting_task_is_woken() {
    let mesh = mesh();
    let (server, client) = (pod(&mesh, 2), pod(&mesh, 3));
    let listener = listen(&server, "0.0.0.0:80");
    let accepting = tokio::spawn(async move { accept(&*listener).await.remote.ip() });
    tokio::task::yield_now().await;
    let _near = connect(&client, "10.244.0.2:80").await.unwrap();
    assert_eq!(accepting.await.unwrap(), address("10.244.0.3:0").ip());
}

#[tokio::test]
async fn a_port_stays_taken_while_a_connection_uses_it() {
    let mesh = mesh();
    let own = pod(&mesh, 2);
    let port = own.bind_tcp(address("0.0.0.0:0")).unwrap();
    let at = port.local_address().to_string();
    let listener = port.listen(1).unwrap();
    let near = connect(&own, &at.replace("0.0.0.0", "127.0.0.1")).await.unwrap();
    let far = accept(&*listener).await;
    drop(listener);
    assert_eq!(own.bind_tcp(address(&at)).err(), Some(NetworkError::AddressInUse));
    drop(near);
    drop(far.receive);
    assert_eq!(own.bind_tcp(address(&at)).err(), Some(NetworkError::AddressInUse), "half of it is still in use");
    drop(far.transmit);
    assert!(own.bind_tcp(address(&at)).is_ok());
}

#[tokio::test]
async fn sockets_are_limited_for_each_pod() {
    let caps = Caps { sockets: 3, ..Caps::default() };
    let mesh = Mesh::new(MeshConfig { caps, ..MeshConfig::default() });
    let (server, client) = (pod(&mesh, 2), pod(&mesh, 3));
    let listener = listen(&server, "0.0.0.0:80");
    let _first = connect(&client, "10.244.0.2:80").await.unwrap();
    let _second = connect(&client, "10.244.0.2:80").await.unwrap();
    assert_eq!(
        connect(&client, "10.244.0.2:80").await.err(),
        Some(NetworkError::ConnectionRefused),
        "the server is full"
    );
    let _third = client.bind_udp(address("0.0.0.0:53")).unwrap();
    assert_eq!(client.bind_tcp(address("0.0.0.0:0")).err(), Some(NetworkError::LimitReached));
    drop(accept(&*listener).await);
    assert!(server.bind_tcp(address("0.0.0.0:0")).is_ok());
}

#[tokio::test]
async fn a_pod_that_leaves_takes_everything_with_it() {
    let mesh = mesh();
    let (server, client) = (pod(&mesh, 2), pod(&mesh, 3));
    assert_eq!(join(&mesh, 2).err(), Some(NetworkError::AddressInUse));
    let listener = listen(&server, "0.0.0.0:80");
    let waiting = connect(&client, "10.244.0.2:80").await.unwrap();

    drop(server);
    let mut waiting = carob_net::TcpStream::from(waiting);
    assert_eq!(waiting.read_u8().await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(connect(&client, "10.244.0.2:80").await.err(), Some(NetworkError::RemoteUnreachable));
    let again = join(&mesh, 2).unwrap();
    assert!(again.bind_tcp(address("0.0.0.0:80")).is_ok(), "what the first one held is not the second one's");
    drop(listener);
}

/// The address of the Service in front of the API, which listens on the host.
fn the_api(mesh: &Mesh, at: std::net::SocketAddr) -> std::net::SocketAddr {
    let backends = std::sync::Arc::new(crate::backends::Backends::new(crate::table::ServicePort {
        service: crate::table::ObjectName { namespace: "default".into(), name: "kubernetes".into() },
        port: "https".into(),
    }));
    backends.add(at, crate::backends::Stage::Ready, true);
    let service = address("10.96.0.1:443");
    let frontend = crate::mesh::Frontend::new(backends, crate::backends::Scope::Cluster, None);
    mesh.shared().frontends.open(carob_net::Protocol::Tcp, service, frontend);
    service
}

#[tokio::test]
async fn the_outside_is_reached_by_a_socket_of_the_host() {
    // The host's loopback stands for the outside here, by the one exception that the shield has.
    let host = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = host.local_addr().unwrap();
    let mesh = Mesh::new(MeshConfig { api: Some(at), ..MeshConfig::default() });
    let service = the_api(&mesh, at);

    let own = pod(&mesh, 2);
    let refused = connect(&own, &at.to_string()).await.err();
    assert_eq!(refused, Some(NetworkError::ConnectionRefused), "127.0.0.1 is the Pod's own");
    let connection = connect(&own, "10.96.0.1:443").await.unwrap();
    assert_eq!(connection.remote, service);
    let mut near = carob_net::TcpStream::from(connection);
    let (mut far, _) = host.accept().await.unwrap();
    near.write_all(b"question").await.unwrap();
    near.shutdown().await.unwrap();
    let mut question = String::new();
    far.read_to_string(&mut question).await.unwrap();
    far.write_all(&vec![b'a'; 1_000_000]).await.unwrap();
    drop(far);
    let mut answer = Vec::new();
    near.read_to_end(&mut answer).await.unwrap();
    assert_eq!((question.as_str(), answer.len()), ("question", 1_000_000));
    assert_eq!((own.traffic().sent, own.traffic().received), (8, 1_000_000));
}

/// How many bytes may be written before it has to wait.
async fn room(transmit: &mut dyn carob_net::Transmit) -> usize {
    std::future::poll_fn(|cx| transmit.poll_capacity(cx)).await.unwrap()
}

#[tokio::test]
async fn either_end_of_a_live_connection_sets_its_buffers() {
    use carob_net::{TCP_BUFFER, TcpOptions};
    let mesh = mesh();
    let (server, client) = (pod(&mesh, 2), pod(&mesh, 3));
    let listener = listen(&server, "0.0.0.0:80");
    let options = TcpOptions { send_buffer: Some(10_000), ..TcpOptions::default() };
    let connecting = client.bind_tcp(address("0.0.0.0:0")).unwrap().connect(address("10.244.0.2:80"), options);
    let mut near = connecting.await.unwrap();
    let far = accept(&*listener).await;
    assert_eq!(room(&mut *near.transmit).await, 10_000 + TCP_BUFFER);
    far.control.set_options(&TcpOptions { receive_buffer: Some(5_000), ..TcpOptions::default() }).unwrap();
    assert_eq!(room(&mut *near.transmit).await, 15_000);
    near.control.set_options(&TcpOptions { send_buffer: Some(100_000), ..TcpOptions::default() }).unwrap();
    assert_eq!(room(&mut *near.transmit).await, 105_000);
}

#[tokio::test]
async fn a_connect_that_is_given_up_frees_its_socket_and_port() {
    // A listener of the host whose queue is full answers nobody: the next connect stays on its way.
    let host = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    host.bind(&address("127.0.0.1:0").into()).unwrap();
    host.listen(0).unwrap();
    let at = host.local_addr().unwrap().as_socket().unwrap();
    let mesh = Mesh::new(MeshConfig { api: Some(at), ..MeshConfig::default() });
    let own = pod(&mesh, 2);
    let service = the_api(&mesh, at);
    let mut made = Vec::new();
    let given_up = loop {
        let port = own.bind_tcp(address("0.0.0.0:0")).unwrap();
        let local = port.local_address();
        let mut connecting = port.connect(service, carob_net::TcpOptions::default());
        match tokio::time::timeout(std::time::Duration::from_millis(300), connecting.as_mut()).await {
            Ok(connected) => made.push(connected.unwrap()),
            Err(_) => break (local, connecting),
        }
    };
    let (local, connecting) = given_up;
    let of_pod = &mesh.shared().pod_at(address("10.244.0.2:0").ip()).unwrap().sockets;
    let of_host = &mesh.shared().host_sockets;
    assert_eq!((of_pod.open(), of_host.open()), (made.len() + 1, made.len() + 1));
    assert_eq!(own.bind_tcp(local).err(), Some(NetworkError::AddressInUse));
    drop(connecting);
    assert_eq!((of_pod.open(), of_host.open()), (made.len(), made.len()));
    assert!(own.bind_tcp(local).is_ok());
}
