//! The parts of a node: the same in the server's process and in one of its own.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use carob_dns::{Dns, ResolvConf};
use carob_engine::{Engine, EngineConfig};
use carob_netmesh::{MESH_ADDRESS, Mesh, MeshConfig, NetmeshConfig, Policies, Services};
use carob_node::images::ImageStore;
use carob_node::{Node, NodeConfig};
use carob_reconcile::Informers;
use kube::Client;
use rustix::process::{Resource, getrlimit};

use super::ingress::{self, Doors};
use super::mesh::{self, Membership};
use super::parts::Parts;
use super::{address, dns};
use crate::args::NodeOptions;
use crate::data_dir::DataDir;
use crate::image;

/// Where a node is in its cluster.
pub(crate) struct Place<'a> {
    pub(crate) name: String,
    /// Its own address.
    pub(crate) address: IpAddr,
    /// Where the API is.
    pub(crate) api: SocketAddr,
    /// The port of its kubelet's API; 0 where it is not listened to.
    pub(crate) kubelet_port: u16,
    /// Tell it what the cluster's names mean.
    pub(crate) informers: Arc<Informers>,
    /// Where it answers DNS, unless its options say otherwise.
    pub(crate) dns_listen: SocketAddr,
    /// Where its gateway listens.
    pub(crate) doors: Doors,
    /// What it takes part in the mesh with, if others may join.
    pub(crate) mesh: Option<Membership>,
    pub(crate) options: &'a NodeOptions,
}

/// What others need of a node that runs.
pub(crate) struct Started {
    pub(crate) kubelet: Router,
    pub(crate) images: ImageStore,
}

/// Starts the node and the network of its Pods, once it is known what may keep them from each other.
pub(crate) async fn start(
    data: &DataDir,
    parts: &mut Parts,
    client: Client,
    mut place: Place<'_>,
) -> anyhow::Result<Started> {
    let host = dns::host();
    let (names, dns_listen) = start_dns(parts, &place, &host).await?;
    let policies = Policies::default();
    // Guests' files take half of what this process may open.
    let host_sockets = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |files| files as usize / 4);
    let config = MeshConfig {
        api: Some(place.api),
        dns: Some(address::reachable(dns_listen)),
        resolver: Arc::new(names),
        host_sockets,
        ..MeshConfig::default()
    };
    let mesh = Mesh::with_rules(config, vec![policies.rule()]);
    let mut config = EngineConfig::new(data.node().join("compiled"));
    // The rest is for everything else in this process.
    config.memory = Some(carob_node::machine_memory() / 5 * 4);
    let engine = Engine::new(config).context("cannot start wasmtime")?;
    let images = image::open(data)?;
    let mut config = config_of(data, &images, &place, &host);
    if let Some(membership) = place.mesh.take() {
        let reached = mesh::start(parts, client.clone(), &mesh, place.address, membership)?;
        println!("mesh            {reached}, by UDP");
        config.annotations.insert(MESH_ADDRESS.to_owned(), reached.to_string());
    }
    let (followed, api) = (policies.clone(), client.clone());
    parts.start("NetworkPolicies", |stop| async move { followed.run(api, stop).await });
    // No Pod of this node starts before.
    policies.known().await;
    let node = Node::new(client.clone(), engine, Arc::new(mesh.clone()), config);
    let kubelet = node.kubelet_api();
    parts.start("node", |stop| async move { node.run(stop).await });

    let host_address = host_address(&place);
    let at = (place.name.as_str(), place.address);
    let figures = ingress::start(parts, client.clone(), mesh.clone(), place.doors, at, &place.options.ingress)?;
    let kubelet = kubelet.merge(ingress::metrics(figures));
    let netmesh =
        NetmeshConfig { node_port_address: place.options.node_port_address, host_address, node_name: place.name };
    let services = Services::new(client, mesh, netmesh);
    parts.start("Services", |stop| async move { services.run(stop).await });
    Ok(Started { kubelet, images })
}

/// Starts to answer DNS; gives what knows the names, and where it listens.
async fn start_dns(parts: &mut Parts, place: &Place<'_>, host: &ResolvConf) -> anyhow::Result<(Dns, SocketAddr)> {
    let options = place.options;
    let listener = dns::bind(options.dns_listen.unwrap_or(place.dns_listen)).await?;
    let listen = listener.local_address()?;
    let names = dns::new(&MeshConfig::default(), host, &options.dns_upstream, &options.dns_stub, listen);
    let (followed, informers) = (names.clone(), place.informers.clone());
    parts.start("DNS", |stop| async move { followed.run(&informers, listener, stop).await });
    println!("DNS             {listen}");
    Ok((names, listen))
}

/// Where clients outside reach ports of Services and Pods.
fn host_address(place: &Place<'_>) -> IpAddr {
    Some(place.options.node_port_address).filter(|ip| !ip.is_unspecified()).unwrap_or(place.address)
}

fn config_of(data: &DataDir, images: &ImageStore, place: &Place<'_>, host: &ResolvConf) -> NodeConfig {
    let options = place.options;
    let mut config = NodeConfig::new(&place.name, data.node(), images.clone(), place.address);
    config.eviction_hard = options.eviction_hard.clone().unwrap_or(config.eviction_hard);
    config.eviction_pressure_transition = options.eviction_pressure_transition_period;
    config.external_address = Some(host_address(place));
    config.kubelet_port = place.kubelet_port;
    config.labels = options.labels.iter().cloned().collect();
    config.taints = options.taints.clone();
    config.lease_duration = options.node_lease_duration;
    config.names = dns::names(host);
    config
}
