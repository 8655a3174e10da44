use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::anyhow;
use carob_apiserver::{Config, NodeDialer};
use carob_pki::{Names, TokenKey};
use tokio::net::TcpListener;

/// The first address of the default Service range: `default/kubernetes`.
const KUBERNETES_SERVICE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1));

/// Listens at `address`, or says what to do about it.
pub(crate) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "{address} is in use by another program; stop it (`ss -ltnp 'sport = :{}'` shows which it is), or choose \
             another address with --listen",
            address.port()
        ),
        _ => anyhow!(error).context(format!("cannot listen at {address}")),
    })
}

/// What the API server's certificate vouches for: every name by which a client may call it.
pub(crate) fn names(listen: SocketAddr) -> Names {
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
    if !listen.ip().is_unspecified() && !ips.contains(&listen.ip()) {
        ips.push(listen.ip());
    }
    Names { dns, ips }
}

/// The URL at which a client on this machine reaches the API.
pub(crate) fn server_url(listen: SocketAddr) -> String {
    format!("https://{}", reachable(listen))
}

/// How the API server describes and reaches its surroundings.
pub(crate) fn api_config(listen: SocketAddr, nodes: Arc<dyn NodeDialer>, tokens: Arc<TokenKey>) -> Config {
    let reachable = reachable(listen);
    let advertise = (reachable.ip(), reachable.port());
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
