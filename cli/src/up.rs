//! `carob up`: a whole cluster in one process. `carob server` is the same, for others to join.

pub(crate) mod address;
mod classes;
mod dialer;
pub(crate) mod dns;
pub(crate) mod ingress;
pub(crate) mod mesh;
pub(crate) mod node;
pub(crate) mod parts;
pub(crate) mod ready;
mod tls;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use carob_apiserver::{ApiServer, Identity};
use carob_node::images::ImageStore;
use carob_pki::ClusterPki;
use carob_reconcile::Informers;
use carob_store::Redb;
use kube::Client;

use crate::args::{self, ControlOptions, NodeOptions, UpOptions};
use crate::data_dir::DataDir;
use crate::{process, samples};

use dialer::Dialer;
use ingress::Doors;
use mesh::{Membership, OwnIdentity};
use node::Place;
use parts::Parts;

/// What a process is to hold that has the control plane.
pub(crate) struct Cluster {
    pub(crate) data: args::DataDir,
    pub(crate) listen: SocketAddr,
    /// The address that others shall use; by default one that is listened to.
    pub(crate) advertise_address: Option<IpAddr>,
    /// More names and addresses that the API server's certificate vouches for.
    pub(crate) tls_san: Vec<String>,
    /// The UDP port by which Pods of other nodes are reached; where there is none, no other node can join the mesh.
    pub(crate) mesh_port: Option<u16>,
    pub(crate) control: ControlOptions,
    /// The node in the same process, if there is to be one.
    pub(crate) node: Option<NodeOptions>,
    pub(crate) samples: bool,
}

/// `carob up`
pub(crate) fn run(options: UpOptions) -> anyhow::Result<()> {
    let UpOptions { data, listen, node, control, samples } = options;
    let (advertise_address, tls_san, mesh_port) = (None, Vec::new(), None);
    run_cluster(Cluster { data, listen, advertise_address, tls_san, mesh_port, control, node: Some(node), samples })
}

/// Runs the cluster until SIGTERM or Ctrl-C, or until a part of it fails.
pub(crate) fn run_cluster(cluster: Cluster) -> anyhow::Result<()> {
    process::run(&cluster.data, async |data, parts| start(&cluster, data, parts).await)
}

/// Starts every part, each after what it needs, and gives the line that says where the cluster is.
async fn start(options: &Cluster, data: &DataDir, parts: &mut Parts) -> anyhow::Result<String> {
    let listener = address::bind(options.listen, "--listen").await?;
    let gateway = match &options.node {
        Some(node) => Doors::open(&node.ingress, ingress::BESIDE_THE_CONTROL_PLANE).await?,
        None => Doors::default(),
    };
    let listen = listener.local_addr()?;
    let advertised = address::advertised(listen, options.advertise_address);

    let store = Redb::open(&data.store(), carob_store::Options::default())
        .with_context(|| format!("cannot open the store {}", data.store().display()))?;
    let names = address::names(listen, advertised.ip(), &options.tls_san);
    let pki = ClusterPki::load_or_create(&data.pki(), &names, SystemTime::now())?;
    let authority = pki.authority.certificate();

    let dialer = Arc::new(Dialer::new(tls::kubelet_client(&pki)?));
    let api = ApiServer::new(Arc::new(store), address::api_config(advertised, dialer.clone(), pki.tokens.clone()))
        .await
        .context("cannot start the API server")?;
    let client = |identity| Client::new(api.client(identity), "default");
    dialer.look_up(client(Identity::user("system:apiserver").group("system:masters")));
    let served = api.clone();
    let tls = tls::server(&pki)?;
    parts.start("API server", |stop| async move { served.serve(listener, tls, stop).await });
    let server = format!("https://{advertised}");
    let kubeconfig = data.kubeconfig();
    carob_pki::write_private(&kubeconfig, &carob_pki::kubeconfig(&server, authority, &pki.admin))?;
    println!("API server      {server}");

    let informers = Arc::new(Informers::new(client(Identity::user("system:kube-controller-manager"))));
    let shared_informers = informers.clone();
    let (scheduler, shared) = (client(Identity::user("system:kube-scheduler")), informers.clone());
    parts.start("scheduler", |stop| async move { carob_scheduler::run(scheduler, &shared, stop).await });
    let mut config = carob_controllers::Config::new(pki.authority.clone());
    config.node_monitor_grace_period = options.control.node_monitor_grace_period;
    config.eviction_rates = options.control.eviction_rates();
    config.signing_duration = options.control.cluster_signing_duration;
    config.pod_network = options.control.pod_network()?;
    let doors = api.clone();
    let client_of = move |user: &str| Client::new(doors.client(Identity::user(user)), "default");
    parts.start("controllers", |stop| async move {
        carob_controllers::run(client_of, &informers, config, stop).await;
    });

    let admin = client(Identity::user("kubernetes-admin").group("system:masters"));
    classes::create_default(&admin).await?;
    dns::create_service(&admin).await?;
    let Some(node_options) = &options.node else { return Ok(ready::line(&server, &kubeconfig, None)) };
    let name = data.node_name()?;
    let identity = Identity::user(carob_pki::node_user(&name)).group(carob_pki::NODES_GROUP);
    let api_address = address::reachable(listen);
    let place = Place {
        name: name.clone(),
        address: advertised.ip(),
        api: api_address,
        kubelet_port: 0,
        informers: shared_informers,
        dns_listen: dns::LISTEN,
        doors: gateway,
        mesh: match options.mesh_port {
            Some(port) => Some(own_membership(parts, data, &pki, &name, port)?),
            None => None,
        },
        options: node_options,
    };
    let has_gateway = !place.doors.is_closed();
    let node = node::start(data, parts, client(identity), place).await?;
    dialer.serve(name.clone(), node.kubelet);
    ready::node(&admin, &name).await?;
    println!("node            {name} is ready");
    if has_gateway {
        ingress::grant(&admin, &name).await?;
    }
    let samples = match options.samples {
        true => Some(start_samples(&admin, &node.images, node_options.node_port_address).await?),
        false => None,
    };
    Ok(ready::line(&server, &kubeconfig, samples.as_deref()))
}

/// What the server's own node takes part in the mesh with.
fn own_membership(
    parts: &mut Parts,
    data: &DataDir,
    pki: &ClusterPki,
    name: &str,
    port: u16,
) -> anyhow::Result<Membership> {
    let own = OwnIdentity::load_or_issue(pki.authority.clone(), &data.node().join("pki"), name)?;
    let identity = own.watch();
    parts.start("certificate of the node", |stop| async move {
        stop.run_until_cancelled(own.keep()).await;
    });
    Ok(Membership { port, identity })
}

async fn start_samples(admin: &Client, images: &ImageStore, node_port_address: IpAddr) -> anyhow::Result<String> {
    samples::load_images(images)?;
    samples::apply(admin).await?;
    let url = samples::url(node_port_address);
    ready::answers(&url).await?;
    Ok(url)
}
