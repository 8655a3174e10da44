//! The cluster's DNS: where it answers, and whom it asks.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use anyhow::{Context, anyhow};
use carob_dns::{Dns, Listener, Namespaced, ResolvConf, Stub, Upstreams, Zone, ZoneConfig};
use carob_net::{NameServer, Names};
use carob_netmesh::MeshConfig;
use carob_node::ClusterNames;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use kube::api::PostParams;
use kube::core::ObjectMeta;
use kube::{Api, Client};

/// Where it answers in the process of a control plane.
pub(crate) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10053);
/// Where it answers in the process of a node, which may be on the same machine as a control plane, or as other nodes: people
/// know the port that they ask at, and Pods ask at the Service's address.
pub(crate) const LISTEN_ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

const DOMAIN: &str = "cluster.local";
/// Where tools that know Kubernetes look for it: kubeadm's address and name.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 10));
const SERVICE: (&str, &str) = ("kube-system", "kube-dns");
const HOST_FILE: &str = "/etc/resolv.conf";
const PORT: u16 = 53;

/// Listens at `address`, or says what to do about it.
pub(crate) async fn bind(address: SocketAddr) -> anyhow::Result<Listener> {
    Listener::bind(address).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "{address} is in use by another program; stop it (`ss -lntup 'sport = :{}'` shows which it is), or choose \
             another address with --dns-listen",
            address.port()
        ),
        _ => anyhow!(error).context(format!("cannot answer DNS at {address}")),
    })
}

/// What the host's own `resolv.conf` says; nothing of a host without one.
pub(crate) fn host() -> ResolvConf {
    let text = fs::read_to_string(HOST_FILE).unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot read {HOST_FILE}; asking this machine for names outside of the cluster");
        String::new()
    });
    ResolvConf::parse(&text)
}

/// A zone for the cluster that knows nothing yet, with whom to ask for other names: `upstreams`, or else whom the host asks.
/// A listener of this process is nobody to ask.
pub(crate) fn new(
    mesh: &MeshConfig,
    host: &ResolvConf,
    upstreams: &[SocketAddr],
    stubs: &[StubOption],
    listen: SocketAddr,
) -> Dns {
    let (namespace, name) = SERVICE;
    let config = ZoneConfig {
        domain: DOMAIN.to_owned(),
        ranges: vec![mesh.pods, mesh.services],
        server: Namespaced { namespace: namespace.to_owned(), name: name.to_owned() },
    };
    let mut servers = match upstreams {
        [] => host.servers.iter().map(|ip| SocketAddr::new(*ip, PORT)).collect(),
        given => given.to_vec(),
    };
    servers.retain(|server| *server != listen);
    Dns::new(Zone::new(config), Upstreams { servers, stubs: stubs.iter().map(|stub| stub.0.clone()).collect() })
}

/// How Pods find names.
pub(crate) fn names(host: &ResolvConf) -> ClusterNames {
    let option = |option: &String| match option.split_once(':') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (option.clone(), None),
    };
    let host = Names {
        servers: host.servers.iter().copied().map(NameServer::Host).collect(),
        search: host.search.clone(),
        options: host.options.iter().map(option).collect(),
    };
    ClusterNames { domain: DOMAIN.to_owned(), server: ADDRESS, host }
}

/// Makes the Service under which Pods and people know it, unless it is there.
pub(crate) async fn create_service(admin: &Client) -> anyhow::Result<()> {
    let (namespace, name) = SERVICE;
    let services: Api<Service> = Api::namespaced(admin.clone(), namespace);
    match services.create(&PostParams::default(), &service()).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        created => created.map(drop).with_context(|| format!("cannot create the Service {namespace}/{name}")),
    }
}

fn service() -> Service {
    let (namespace, name) = SERVICE;
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let port = |name: &str, protocol: &str| ServicePort {
        name: Some(name.to_owned()),
        protocol: Some(protocol.to_owned()),
        port: PORT.into(),
        ..ServicePort::default()
    };
    Service {
        metadata: ObjectMeta {
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
            labels: Some([label("k8s-app", "kube-dns"), label("kubernetes.io/name", "CoreDNS")].into()),
            ..ObjectMeta::default()
        },
        spec: Some(ServiceSpec {
            cluster_ip: Some(ADDRESS.to_string()),
            ports: Some(vec![port("dns", "UDP"), port("dns-tcp", "TCP")]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// A domain and whom to ask for it, as on the command line: `corp.example=192.0.2.1:53,192.0.2.2`.
#[derive(Debug, Clone)]
pub(crate) struct StubOption(Stub);

impl FromStr for StubOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (domain, servers) = text.split_once('=').ok_or("it has to be DOMAIN=ADDR[:PORT],...")?;
        let domain = domain.trim_matches('.').to_ascii_lowercase();
        let servers = servers.split(',').map(server).collect::<Result<Vec<_>, _>>()?;
        if domain.is_empty() {
            return Err("the domain before the `=` is missing".to_owned());
        }
        Ok(StubOption(Stub { domain, servers }))
    }
}

/// An address with a port, or alone, which means DNS's.
pub(crate) fn server(text: &str) -> Result<SocketAddr, String> {
    let alone = |_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, PORT));
    text.parse().or_else(alone).map_err(|_| format!("`{text}` is no address; write 192.0.2.1 or 192.0.2.1:53"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stub_is_a_domain_and_its_servers() {
        let stub = "Corp.Example.=192.0.2.1:5353,2001:db8::1".parse::<StubOption>().unwrap().0;
        let servers = ["192.0.2.1:5353", "[2001:db8::1]:53"].map(|server| server.parse().unwrap()).to_vec();
        assert_eq!(stub, Stub { domain: "corp.example".into(), servers });
        for wrong in ["corp.example", "=192.0.2.1", "corp.example=", "corp.example=name"] {
            assert!(wrong.parse::<StubOption>().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_port_in_use_says_which_and_what_to_do() {
        let taken = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = taken.local_address().unwrap();
        let said = bind(address).await.err().unwrap().to_string();
        assert!(said.contains(&address.to_string()) && said.contains("--dns-listen"), "{said}");
    }
}
