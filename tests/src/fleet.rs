//! A server and nodes, each on a machine of its own, and a machine that asks them.

use std::net::SocketAddr;
use std::thread;

use crate::joined::{Node, Server};
use crate::kubectl::Kubectl;
use crate::network::{Machine, Network};
use crate::wait::eventually;

/// A server, nodes that have joined it, and their network.
pub struct Fleet {
    /// What joins them all.
    pub network: Network,
    /// Where clients are.
    pub client: Machine,
    /// Where the server is.
    pub host: Machine,
    /// The control plane.
    pub server: Server,
    /// The nodes, in the order in which they were named.
    pub nodes: Vec<Member>,
}

/// A node and its machine.
pub struct Member {
    /// The node's name.
    pub name: String,
    /// Where it runs.
    pub machine: Machine,
    /// Its process.
    pub node: Node,
}

impl Fleet {
    /// A server with these arguments and nodes of these names, which have the image `samples/hello-http:1`.
    ///
    /// # Panics
    /// If one of them does not start.
    #[must_use]
    pub fn start(names: &[&str], arguments: &[&str]) -> Self {
        let network = Network::new();
        let (client, host) = (network.machine(), network.machine());
        let server = Server::start_on(&host, arguments);
        let join = |name: &str| Member::join(&server, network.machine(), name);
        let nodes = thread::scope(|scope| {
            let joining: Vec<_> = names.iter().map(|name| scope.spawn(move || join(name))).collect();
            joining.into_iter().map(|one| one.join().expect("the node joins")).collect()
        });
        Self { network, client, host, server, nodes }
    }

    /// kubectl as the administrator, on the clients' machine.
    #[must_use]
    pub fn kubectl(&self) -> Kubectl {
        self.server.kubectl().on(Some(self.client.clone()))
    }

    /// The first address that a node's DNS gives for a name, asked from the clients' machine.
    ///
    /// # Panics
    /// If there is no `dig`.
    #[must_use]
    pub fn dig(&self, member: &Member, name: &str) -> String {
        let mut dig = self.client.command("dig");
        let output = dig.args(["+short", &format!("@{}", member.machine.address()), name]).output().expect("dig runs");
        String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
    }

    /// What a Node's condition `Ready` says.
    #[must_use]
    pub fn is_ready(&self, node: &str) -> String {
        self.kubectl().field(&["node", node], "{.status.conditions[?(@.type=='Ready')].status}")
    }

    /// Waits until all nodes are ready and bear no taint.
    ///
    /// # Panics
    /// If that never comes.
    pub fn is_whole(&self) {
        for Member { name, .. } in &self.nodes {
            eventually(&format!("node {name} is ready"), || self.is_ready(name) == "True");
            eventually(&format!("node {name} bears no taint"), || {
                self.kubectl().field(&["node", name], "{.spec.taints}").is_empty()
            });
        }
    }
}

impl Member {
    /// Has a machine join a server by this name.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn join(server: &Server, machine: Machine, name: &str) -> Self {
        let node = server.join_on(&machine, name);
        node.load("hello-http", "samples/hello-http:1");
        Self { name: name.to_owned(), machine, node }
    }

    /// This port of the node.
    #[must_use]
    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.machine.address().into(), port)
    }
}
