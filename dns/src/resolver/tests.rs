use std::net::Ipv4Addr;
use std::task::{Context, Poll};

use bytes::Bytes;
use carob_net::{Account, Datagram, TcpConnection, TcpListener, TcpOptions, TcpPort, TcpStream, UdpOptions, pipes};
use parking_lot::Mutex;
use tokio::io::copy_bidirectional;
use tokio::net::UdpSocket;

use super::*;
use crate::forward::Upstreams;
use crate::scene::{self, Outside};

fn cluster(server: NameServer) -> Names {
    Names {
        servers: vec![server],
        search: ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"].map(str::to_owned).to_vec(),
        options: vec![("ndots".into(), Some("5".into()))],
    }
}

const CLUSTER: NameServer = NameServer::Cluster(IpAddr::V4(Ipv4Addr::new(10, 96, 0, 10)));

/// A Pod that has as many sockets as it may.
struct Full;

impl WorkloadSockets for Full {
    fn bind_tcp(&self, _: SocketAddr) -> Result<Box<dyn TcpPort>, NetworkError> {
        Err(NetworkError::LimitReached)
    }

    fn bind_udp(&self, _: SocketAddr) -> Result<Box<dyn carob_net::UdpSocket>, NetworkError> {
        Err(NetworkError::LimitReached)
    }
}

async fn answer(dns: &Dns, names: &Names, name: &str) -> Vec<String> {
    match dns.resolve(name, names, Arc::new(Full)).await {
        Ok(addresses) => addresses.iter().map(IpAddr::to_string).collect(),
        Err(error) => vec![format!("{error:?}")],
    }
}

async fn dns() -> (Dns, Outside) {
    let outside = Outside::start().await;
    let dns = Dns::new(scene::zone(), Upstreams { servers: vec![outside.address], stubs: Vec::new() });
    dns.directory.set_complete();
    (dns, outside)
}

#[tokio::test]
async fn names_are_known_by_every_way_to_say_them() {
    let (dns, _outside) = dns().await;
    let web = &["10.96.0.9", "fd00::9"][..];
    let nobody = &["NameUnresolvable"][..];
    for (name, expected) in [
        ("web", web),
        ("web.shop", web),
        ("web.shop.svc", web),
        ("web.shop.svc.cluster.local", web),
        ("web.shop.svc.cluster.local.", web),
        ("web.other.svc.cluster.local.", nobody),
        ("inside", web),
        ("round", nobody),
        ("first.db", &["10.244.0.5"]),
        ("second.db", nobody),
        ("10-244-0-5.shop.pod", &["10.244.0.5"]),
        ("cluster.local.", nobody),
        ("example.com", &["192.0.2.80", "2001:db8::80"]),
        ("outside", &["192.0.2.80"]),
        ("nobody.example.com", nobody),
        ("broken.example.com", &["ResolverFailure"]),
    ] {
        let found = answer(&dns, &cluster(CLUSTER), name).await;
        assert_eq!(found, expected, "{name}");
    }
}

#[tokio::test]
async fn who_asks_the_hosts_servers_knows_no_names_of_the_cluster() {
    let (dns, outside) = dns().await;
    let host = Names { servers: vec![NameServer::Host(Ipv4Addr::LOCALHOST.into())], ..Names::default() };
    assert_eq!(answer(&dns, &host, "web.shop.svc.cluster.local").await, ["NameUnresolvable"]);
    assert_eq!(answer(&dns, &host, "example.com").await, ["192.0.2.80", "2001:db8::80"]);
    assert!(outside.asked() > 0);
    assert_eq!(answer(&dns, &Names::default(), "example.com").await, ["NameUnresolvable"], "without any server");
}

/// A Pod's sockets, which lead to a server of this test whatever address is asked.
#[derive(Clone)]
struct Led {
    to: SocketAddr,
    /// What was asked, and whether by UDP.
    asked: Arc<Mutex<Vec<(SocketAddr, bool)>>>,
}

impl WorkloadSockets for Led {
    fn bind_tcp(&self, local: SocketAddr) -> Result<Box<dyn TcpPort>, NetworkError> {
        assert!(local.is_ipv4());
        Ok(Box::new(self.clone()))
    }

    fn bind_udp(&self, local: SocketAddr) -> Result<Box<dyn carob_net::UdpSocket>, NetworkError> {
        assert!(local.is_ipv4());
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        Ok(Box::new(LedUdp { led: self.clone(), socket: UdpSocket::from_std(socket).unwrap() }))
    }
}

impl TcpPort for Led {
    fn local_address(&self) -> SocketAddr {
        ([10, 244, 0, 2], 4000).into()
    }

    fn listen(self: Box<Self>, _: usize) -> Result<Box<dyn TcpListener>, NetworkError> {
        unreachable!("nobody asks who resolves names")
    }

    fn connect(
        self: Box<Self>,
        remote: SocketAddr,
        options: TcpOptions,
    ) -> BoxFuture<'static, Result<TcpConnection, NetworkError>> {
        self.asked.lock().push((remote, false));
        let account = Arc::new(Account::new(1 << 20));
        let (near, far) = pipes(&options, &account, &account);
        let connection = |end: carob_net::PipeEnd| TcpConnection {
            local: self.to,
            remote,
            receive: Box::new(end.receive),
            transmit: Box::new(end.transmit),
            control: Box::new(end.control),
        };
        let (near, mut far) = (connection(near), TcpStream::from(connection(far)));
        let to = self.to;
        tokio::spawn(async move {
            let mut server = tokio::net::TcpStream::connect(to).await.unwrap();
            let _ = copy_bidirectional(&mut far, &mut server).await;
        });
        async move { Ok(near) }.boxed()
    }
}

struct LedUdp {
    led: Led,
    socket: UdpSocket,
}

impl carob_net::UdpSocket for LedUdp {
    fn local_address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<Result<Datagram, NetworkError>> {
        let mut bytes = [0; 4096];
        let mut buffer = tokio::io::ReadBuf::new(&mut bytes);
        self.socket.poll_recv(cx, &mut buffer).map(|received| {
            received.unwrap();
            let from = self.led.asked.lock()[0].0;
            Ok(Datagram { from, bytes: Bytes::copy_from_slice(buffer.filled()) })
        })
    }

    fn poll_send(&self, cx: &mut Context<'_>, bytes: &Bytes, to: SocketAddr) -> Poll<Result<(), NetworkError>> {
        self.led.asked.lock().push((to, true));
        self.socket.poll_send_to(cx, bytes, self.led.to).map(|sent| {
            sent.unwrap();
            Ok(())
        })
    }

    fn set_options(&self, _: &UdpOptions) -> Result<(), NetworkError> {
        Ok(())
    }
}

#[tokio::test]
async fn servers_of_a_pods_own_are_asked_by_its_own_sockets() {
    let (dns, outside) = dns().await;
    let led = Led { to: outside.address, asked: Arc::default() };
    let server = scene::ip("192.0.2.53");
    let own = Names { servers: vec![NameServer::Own(server)], ..Names::default() };
    let found = dns.resolve("example.com", &own, Arc::new(led.clone())).await.unwrap();
    assert_eq!(found, [scene::ip("192.0.2.80"), scene::ip("2001:db8::80")]);
    let asked = std::mem::take(&mut *led.asked.lock());
    assert!(asked.len() >= 2 && asked.iter().all(|asked| *asked == (SocketAddr::new(server, 53), true)), "{asked:?}");
    let large = dns.resolve("large.example.com", &own, Arc::new(led.clone())).await.unwrap();
    assert_eq!(large.len(), 200, "what does not fit into a packet is asked by TCP");
    assert!(led.asked.lock().contains(&(SocketAddr::new(server, 53), false)));
    // A Pod that gets no socket cannot say whether there is such a name.
    assert_eq!(answer(&dns, &own, "example.com").await, ["ResolverFailure"]);
}

#[tokio::test(start_paused = true)]
async fn who_asks_before_it_is_known_what_there_is_waits_but_not_for_ever() {
    let dns = Dns::new(scene::zone(), Upstreams::default());
    assert_eq!(answer(&dns, &cluster(CLUSTER), "web").await, ["ResolverFailure"]);
    dns.directory.set_complete();
    assert_eq!(answer(&dns, &cluster(CLUSTER), "web").await, ["10.96.0.9", "fd00::9"]);
}
