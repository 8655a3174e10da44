use std::net::SocketAddr;

use carob_net::{NameServer, Names, Networks, Resolver};

use crate::mesh::{Mesh, MeshConfig};

use super::*;

/// Knows `web`; where a Pod names a server itself, it tries whether there is a socket to ask that by.
#[derive(Debug)]
struct Web;

impl Resolver for Web {
    fn resolve(&self, name: &str, names: &Names, sockets: Arc<dyn WorkloadSockets>) -> BoxFuture<'static, Found> {
        let own = names.servers.iter().any(|server| matches!(server, NameServer::Own(_)));
        let found = match (name, own) {
            ("web", _) => Ok(vec!["10.96.0.9".parse().unwrap()]),
            (_, true) => own_addresses(&*sockets),
            _ => Err(NetworkError::NameUnresolvable),
        };
        async { found }.boxed()
    }
}

fn own_addresses(sockets: &dyn WorkloadSockets) -> Found {
    let any = SocketAddr::from(([0, 0, 0, 0], 0));
    Ok(vec![sockets.bind_udp(any)?.local_address().ip(), sockets.bind_tcp(any)?.local_address().ip()])
}

fn asker() -> Workload {
    Workload {
        namespace: "shop".into(),
        name: "asker".into(),
        addresses: vec!["10.244.0.2".parse().unwrap()],
        hosts: vec![
            ("10.244.0.2".parse().unwrap(), vec!["asker".into()]),
            ("192.0.2.7".parse().unwrap(), vec!["db.example".into(), "localhost".into(), "localhost.evil".into()]),
        ],
        names: Names::default(),
    }
}

async fn answer(asker: Workload, name: &str) -> Vec<String> {
    let mesh = Mesh::new(MeshConfig { resolver: Arc::new(Web), ..MeshConfig::default() });
    let network = mesh.join(asker).unwrap();
    match network.resolve(name).await {
        Ok(addresses) => addresses.iter().map(IpAddr::to_string).collect(),
        Err(error) => vec![format!("{error:?}")],
    }
}

#[tokio::test]
async fn a_workload_knows_itself_and_its_hosts_before_anything_else() {
    for (name, expected) in [
        ("asker", &["10.244.0.2"][..]),
        ("db.example", &["192.0.2.7"]),
        ("DB.Example.", &["192.0.2.7"]),
        ("localhost", &["127.0.0.1", "::1"]),
        ("any.localhost.", &["127.0.0.1", "::1"]),
        ("192.0.2.1", &["192.0.2.1"]),
        ("fd00::1", &["fd00::1"]),
        ("[fd00::1]", &["fd00::1"]),
        ("web", &["10.96.0.9"]),
        ("WEB", &["10.96.0.9"]),
        ("unknown", &["NameUnresolvable"]),
        ("no/name.", &["NameUnresolvable"]),
        ("", &["NameUnresolvable"]),
        (&"x".repeat(64), &["NameUnresolvable"]),
    ] {
        assert_eq!(answer(asker(), name).await, expected, "{name}");
    }
}

#[tokio::test]
async fn servers_of_its_own_are_asked_by_its_own_sockets() {
    let mut asker = asker();
    asker.names.servers = vec![NameServer::Own("192.0.2.53".parse().unwrap())];
    assert_eq!(answer(asker, "unknown").await, ["0.0.0.0", "0.0.0.0"]);
}
