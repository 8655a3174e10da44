use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use anyhow::anyhow;
use carob_apiserver::{Config, NodeDialer};
use carob_pki::{Names, TokenKey};
use tokio::net::TcpListener;

/// The first address of the default Service range: `default/kubernetes`.
const KUBERNETES_SERVICE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1));

/// An address that is nowhere (RFC 5737): the way to it is the way to everywhere else.
const ELSEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);

/// Listens at `address`, which `flag` has chosen, or says what to do about it.
pub(crate) async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "{address} is in use by another program; stop it (`ss -ltnp 'sport = :{}'` shows which it is), or choose \
             another address with {flag}",
            address.port()
        ),
        _ => anyhow!(error).context(format!("cannot listen at {address}")),
    })
}

/// What the API server's certificate vouches for: every name by which a client may call it.
pub(crate) fn names(listen: SocketAddr, advertised: IpAddr, more: &[String]) -> Names {
    let dns = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ];
    let mut dns = Vec::from(dns.map(str::to_owned));
    dns.extend(rustix::system::uname().nodename().to_str().map(str::to_owned).ok());
    let mut ips = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into(), KUBERNETES_SERVICE];
    for ip in [listen.ip(), advertised] {
        if !ip.is_unspecified() && !ips.contains(&ip) {
            ips.push(ip);
        }
    }
    for name in more {
        match name.parse() {
            Ok(ip) => ips.push(ip),
            Err(_) => dns.push(name.clone()),
        }
    }
    Names { dns, ips }
}

/// Where clients reach the API: at the address that was asked for, or where it listens. What listens at all addresses is
/// found at the one by which this machine reaches others.
pub(crate) fn advertised(listen: SocketAddr, asked: Option<IpAddr>) -> SocketAddr {
    let ip = asked.unwrap_or_else(|| match listen.ip() {
        ip if ip.is_unspecified() => towards(ELSEWHERE),
        ip => ip,
    });
    SocketAddr::new(ip, listen.port())
}

/// This machine's address on the way to another, without sending anything there; the loopback one if there is no way.
pub(crate) fn towards(other: SocketAddr) -> IpAddr {
    let any: IpAddr = if other.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let found = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect(other)?;
        socket.local_addr()
    });
    found.map_or(Ipv4Addr::LOCALHOST.into(), |address| address.ip())
}

/// How the API server describes and reaches its surroundings.
pub(crate) fn api_config(advertised: SocketAddr, nodes: Arc<dyn NodeDialer>, tokens: Arc<TokenKey>) -> Config {
    let advertise = (advertised.ip(), advertised.port());
    Config { resources: carob_resources::all(), advertise, nodes, tokens, mount_tokens: true, ..Config::default() }
}

/// Where a client on this machine reaches what listens at `listen`. An unspecified address stands for all of the host's: the loopback one is among them.
pub(crate) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
