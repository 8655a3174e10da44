use std::{
    net::{IpAddr, Ipv4Addr},
    ops::RangeInclusive,
    sync::Arc,
};

use carob_pki::TokenKey;
use carob_resources::Resource;

use crate::{AllowAuthenticated, Authorizer, NoNodes, NodeDialer};

/// How much an API server takes on at once from the network. Clients in its own process are not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections; more are closed as they come.
    pub connections: usize,
    /// Requests that read and end soon; more are told to come again (429). Watches, logs and the like are not counted.
    pub reading: usize,
    /// Requests that change something.
    pub mutating: usize,
}

impl Default for Limits {
    /// The requests are those of kube-apiserver.
    fn default() -> Self {
        Self { connections: 8192, reading: 400, mutating: 200 }
    }
}

/// What an API server is told at its start.
pub struct Config {
    /// The resources that are served, in the order of discovery.
    pub resources: &'static [Resource],
    /// The network that cluster IPs come from: its first address and the length of its prefix.
    pub service_cidr: (Ipv4Addr, u8),
    /// The ports that Services of type NodePort get.
    pub node_ports: RangeInclusive<u16>,
    /// Where the API server itself can be reached; published as the endpoint of the Service `default/kubernetes`.
    pub advertise: (IpAddr, u16),
    /// Who may do what.
    pub authorizer: Arc<dyn Authorizer>,
    /// The way to the nodes.
    pub nodes: Arc<dyn NodeDialer>,
    /// The greatest body of a request, in bytes.
    pub body_limit: usize,
    /// How much is taken on at once.
    pub limits: Limits,
    /// The key that signs ServiceAccounts' tokens. By default one that ends with the process, and its tokens with it.
    pub tokens: Arc<TokenKey>,
    /// Whether a new Pod gets the token of its ServiceAccount. Off by default: somebody has to publish the cluster's CA,
    /// which is mounted with it.
    pub mount_tokens: bool,
    /// Who says that tokens are the cluster's (`iss`); also the audience that stands for the API itself.
    pub issuer: String,
}

impl Config {
    /// For whom a token must be meant to be taken by the API itself.
    pub(crate) fn audiences(&self) -> Vec<String> {
        vec![self.issuer.clone()]
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            resources: carob_resources::all(),
            service_cidr: (Ipv4Addr::new(10, 96, 0, 0), 16),
            node_ports: 30000..=32767,
            advertise: (IpAddr::V4(Ipv4Addr::LOCALHOST), 6443),
            authorizer: Arc::new(AllowAuthenticated),
            nodes: Arc::new(NoNodes),
            body_limit: 3 << 20,
            limits: Limits::default(),
            tokens: Arc::new(TokenKey::generate().expect("the system has randomness")),
            mount_tokens: false,
            issuer: "https://kubernetes.default.svc.cluster.local".to_owned(),
        }
    }
}
