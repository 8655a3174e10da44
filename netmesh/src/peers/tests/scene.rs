//! A cluster of nodes in this process, each with a mesh of its own, over UDP on the loopback.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use carob_net::{Network, Networks, Rule, Workload};
use carob_pki::Authority;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub(super) use crate::mesh::tests::scene::{accept, address, connect, denied_flows, listen, receive, send};
use crate::mesh::{Caps, Mesh, MeshConfig, Range};
use crate::peers::{Credentials, Limits, NodeName, Peers, PeersConfig, Place, Routes};

/// Whatever a test waits for comes within this time, or never.
pub(super) const LONG: Duration = Duration::from_secs(60);

pub(super) struct Cluster {
    pub(super) authority: Authority,
    pub(super) limits: Limits,
    meshes: BTreeMap<NodeName, Mesh>,
    places: BTreeMap<NodeName, Place>,
    routes: watch::Sender<Arc<Routes>>,
}

/// A node; it is cut off from the others when it is dropped, without a word.
pub(super) struct Node {
    pub(super) mesh: Mesh,
    pub(super) at: SocketAddr,
    pub(super) credentials: watch::Sender<Arc<Credentials>>,
    pub(super) quic: quinn::Endpoint,
    pub(super) stop: CancellationToken,
    number: u8,
    running: Option<AbortOnDropHandle<()>>,
}

/// Waits for something that nobody tells.
pub(super) async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, waiting).await.expect("it comes about");
}

pub(super) fn authority() -> Authority {
    Authority::generate("test", SystemTime::now()).unwrap()
}

/// What `by` vouches for to be `name` until then, by whoever trusts `trusted`.
pub(super) fn credentials(by: &Authority, name: &str, until: SystemTime, trusted: &Authority) -> Arc<Credentials> {
    let life = Duration::from_secs(24 * 3600);
    let pair = by.client(&format!("system:node:{name}"), "system:nodes", until - life, life).unwrap();
    Arc::new(Credentials::from_pem(&pair.certificate, &pair.key, trusted.certificate()).unwrap())
}

/// When the certificates of a test end that are to be good.
pub(super) fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(3600)
}

impl Cluster {
    pub(super) fn new() -> Cluster {
        // On a machine that is busy with other tests a node may be late to say that it lives.
        let limits =
            Limits { dead_after: Duration::from_secs(20), dial_timeout: Duration::from_secs(20), ..Limits::default() };
        let (routes, _) = watch::channel(Arc::default());
        Cluster { authority: authority(), limits, meshes: BTreeMap::new(), places: BTreeMap::new(), routes }
    }

    /// Two nodes, `a` and `b`, with Pods at 10.244.1 and 10.244.2.
    pub(super) async fn of_two() -> (Cluster, Node, Node) {
        let mut cluster = Cluster::new();
        let (a, b) = (cluster.node("a", 1).await, cluster.node("b", 2).await);
        (cluster, a, b)
    }

    /// A node with the Pods of `10.244.NUMBER.0/24` that everybody knows.
    pub(super) async fn node(&mut self, name: &str, number: u8) -> Node {
        self.node_with_rules(name, number, vec![]).await
    }

    pub(super) async fn node_with_rules(&mut self, name: &str, number: u8, rules: Vec<Box<dyn Rule>>) -> Node {
        let own = credentials(&self.authority, name, later(), &self.authority);
        let node = self.unknown_node(number, rules, own).await;
        self.place(name, number, node.at).await;
        node
    }

    /// A node that no other knows of.
    pub(super) async fn unknown_node(&mut self, number: u8, rules: Vec<Box<dyn Rule>>, own: Arc<Credentials>) -> Node {
        let caps = Caps { sockets: 20_000, ..Caps::default() };
        let mesh = Mesh::with_rules(MeshConfig { caps, ..MeshConfig::default() }, rules);
        self.meshes.insert(own.node().clone(), mesh.clone());
        let (credentials, own) = watch::channel(own);
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        let peers = Peers::bind(mesh.clone(), &PeersConfig { listen, limits: self.limits }, own).unwrap();
        let (at, quic) = (peers.local_address().unwrap(), peers.endpoint.quic.clone());
        let stop = CancellationToken::new();
        let running = tokio::spawn(peers.run(self.routes.subscribe(), stop.clone()));
        let running = Some(AbortOnDropHandle::new(running));
        self.tell().await;
        Node { mesh, at, credentials, quic, stop, number, running }
    }

    /// Everybody learns that the node with these Pods is there.
    pub(super) async fn place(&mut self, name: &str, number: u8, at: SocketAddr) {
        let pods = vec![Range::parse(&format!("10.244.{number}.0/24")).unwrap()];
        self.places.insert(name.into(), Place { pods, mesh: Some(at) });
        self.tell().await;
    }

    pub(super) async fn forget(&mut self, name: &str) {
        self.places.remove(name);
        self.tell().await;
    }

    /// Returns when every node has heard.
    async fn tell(&self) {
        let (routes, conflicts) = Routes::new(self.places.clone());
        assert_eq!(conflicts, []);
        self.routes.send_replace(Arc::new(routes));
        for (name, mesh) in &self.meshes {
            let others: BTreeSet<NodeName> = self.places.keys().filter(|other| *other != name).cloned().collect();
            until(|| mesh.shared().elsewhere.names() == others).await;
        }
    }
}

impl Node {
    /// The Pod with the address `10.244.NUMBER.HOST`.
    pub(super) fn pod(&self, host: u8) -> Arc<dyn Network> {
        self.pod_at([10, 244, self.number, host].into())
    }

    pub(super) fn pod_at(&self, ip: IpAddr) -> Arc<dyn Network> {
        let (namespace, name) = ("default".into(), format!("pod-{ip}"));
        self.mesh
            .join(Workload { namespace, name, addresses: vec![ip], hosts: vec![], names: Default::default() })
            .unwrap()
    }

    /// Ends in order.
    pub(super) async fn stop(&mut self) {
        self.stop.cancel();
        if let Some(running) = self.running.take() {
            running.await.unwrap();
        }
    }
}
