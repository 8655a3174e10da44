//! What becomes known to the zone. Every name is in lower case here, as Kubernetes has them.

use std::fmt;
use std::net::IpAddr;

use carob_net::Protocol;

/// Namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespaced {
    /// The namespace.
    pub namespace: String,
    /// The name within it.
    pub name: String,
}

/// `name.namespace`, as names of the zone have it.
impl fmt::Display for Namespaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.name, self.namespace)
    }
}

/// What a Service's names mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Service {
    /// It has addresses of its own.
    Cluster {
        /// The addresses, of either family.
        addresses: Vec<IpAddr>,
        /// Its ports that have names.
        ports: Vec<ServicePort>,
    },
    /// It has none: its endpoints are its addresses.
    Headless {
        /// Whether endpoints that are not ready are published, too.
        publish_not_ready: bool,
    },
    /// It stands for another name, outside or inside of the cluster.
    External(String),
}

/// A named port of a Service, or of the endpoints of a slice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServicePort {
    /// Its name.
    pub name: String,
    /// What is spoken there.
    pub protocol: Protocol,
    /// Its number.
    pub port: u16,
}

/// What one EndpointSlice says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// The Service it belongs to.
    pub service: Namespaced,
    /// Its ports that have names.
    pub ports: Vec<ServicePort>,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// One address of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// Its name below that of the Service; one that has none is called by its address.
    pub hostname: Option<String>,
    /// Whether it is ready.
    pub ready: bool,
}

impl Endpoint {
    /// The label before the Service's name.
    pub(crate) fn label(&self) -> String {
        self.hostname.clone().unwrap_or_else(|| dashed(self.address))
    }
}

/// `10-244-0-2` is 10.244.0.2.
pub(crate) fn dashed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string().replace('.', "-"),
        // A label neither begins nor ends with a dash: all groups are written out.
        IpAddr::V6(address) => address.segments().map(|group| format!("{group:x}")).join("-"),
    }
}

/// What has become known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A namespace exists.
    Namespace(String),
    /// A namespace exists no more.
    NamespaceGone(String),
    /// A Service exists, and this is what it is.
    Service(Namespaced, Service),
    /// A Service exists no more.
    ServiceGone(Namespaced),
    /// An EndpointSlice exists, and this is what it lists.
    Slice(Namespaced, Slice),
    /// An EndpointSlice exists no more.
    SliceGone(Namespaced),
}
