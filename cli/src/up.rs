//! `carob up`: a whole cluster in one process.

mod address;
mod classes;
mod dialer;
mod parts;
mod ready;
mod tls;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use carob_apiserver::{ApiServer, Identity};
use carob_engine::{Engine, EngineConfig};
use carob_netmesh::{Mesh, MeshConfig, NetmeshConfig, Policies, Services};
use carob_node::images::ImageStore;
use carob_node::{Node, NodeConfig};
use carob_pki::ClusterPki;
use carob_reconcile::Informers;
use carob_store::Redb;
use kube::Client;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::UpOptions;
use crate::data_dir::{DataDir, DataDirLock};
use crate::{image, samples};

use dialer::InProcessDialer;
use parts::Parts;

/// How long the parts have, together, to end after they were asked to.
const DRAIN: Duration = Duration::from_secs(20);

/// Runs the cluster until SIGTERM or Ctrl-C, or until a part of it fails.
pub(crate) fn run(options: UpOptions) -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let data = DataDir::locate(&options.data)?;
    let lock = data.lock()?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("carob")
        .build()
        .context("cannot start the tokio runtime")?
        .block_on(up(options, data, lock))
}

async fn up(options: UpOptions, data: DataDir, _lock: DataDirLock) -> anyhow::Result<()> {
    println!("data directory  {}", data.root().display());
    raise_file_limit();
    // Streams that live on: a signal that comes between two waits for one is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut parts = Parts::default();
    let started = tokio::select! {
        started = start(&options, &data, &mut parts) => started.map(Some),
        _ = interrupt.recv() => Ok(None),
        _ = terminate.recv() => Ok(None),
    };
    let ended = match started {
        Ok(Some(ready)) => {
            println!("{ready}");
            tokio::select! {
                failure = parts.failure() => Err(failure),
                _ = interrupt.recv() => Ok(()),
                _ = terminate.recv() => Ok(()),
            }
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    if !parts.is_empty() {
        println!("stopping");
    }
    parts.stop(DRAIN).await;
    ended
}

/// Every container that prints keeps its log file open, and every connection a socket: as many as the system allows.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// Starts every part, each after what it needs, and gives the line that says where the cluster is.
async fn start(options: &UpOptions, data: &DataDir, parts: &mut Parts) -> anyhow::Result<String> {
    let listener = address::bind(options.listen).await?;
    let listen = listener.local_addr()?;

    let store = Redb::open(&data.store(), carob_store::Options::default())
        .with_context(|| format!("cannot open the store {}", data.store().display()))?;
    let names = address::names(listen);
    let pki = ClusterPki::load_or_create(&data.pki(), &names, SystemTime::now())?;
    let authority = pki.authority.certificate();

    let dialer = Arc::new(InProcessDialer::default());
    let api = ApiServer::new(Arc::new(store), address::api_config(listen, dialer.clone(), pki.tokens.clone()))
        .await
        .context("cannot start the API server")?;
    let served = api.clone();
    let tls = tls::server(&pki)?;
    parts.start("API server", |stop| async move { served.serve(listener, tls, stop).await });
    let server = address::server_url(listen);
    let kubeconfig = data.kubeconfig();
    carob_pki::write_private(&kubeconfig, &carob_pki::kubeconfig(&server, authority, &pki.admin))?;
    println!("API server      {server}");

    let client = |identity| Client::new(api.client(identity), "default");
    let informers = Arc::new(Informers::new(client(Identity::user("system:kube-controller-manager"))));
    let (scheduler, shared) = (client(Identity::user("system:kube-scheduler")), informers.clone());
    parts.start("scheduler", |stop| async move { carob_scheduler::run(scheduler, &shared, stop).await });
    let (doors, config) = (api.clone(), carob_controllers::Config::new(pki.authority.clone()));
    let client_of = move |user: &str| Client::new(doors.client(Identity::user(user)), "default");
    parts.start("controllers", |stop| async move {
        carob_controllers::run(client_of, &informers, config, stop).await;
    });

    let policies = Policies::default();
    // Guests' files take half of what this process may open.
    let host_sockets = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |files| files as usize / 4);
    let config = MeshConfig { api: Some(address::reachable(listen)), host_sockets, ..MeshConfig::default() };
    let mesh = Mesh::with_rules(config, vec![policies.rule()]);
    let node_name = data.node_name()?;
    let mut config = EngineConfig::new(data.node().join("compiled"));
    // The rest is for everything else in this process.
    config.memory = Some(carob_node::machine_memory() / 5 * 4);
    let engine = Engine::new(config).context("cannot start wasmtime")?;
    let images = image::open(data)?;
    let identity = Identity::user(format!("system:node:{node_name}")).group("system:nodes");
    let mut config = NodeConfig::new(&node_name, data.node(), images.clone(), address::reachable(listen).ip());
    if let Some(thresholds) = &options.eviction_hard {
        config.eviction_hard = thresholds.clone();
    }
    let (followed, api_client) = (policies.clone(), client(identity.clone()));
    parts.start("NetworkPolicies", |stop| async move { followed.run(api_client, stop).await });
    // No Pod of this node starts before what may keep it from others is known.
    policies.known().await;
    let node = Node::new(client(identity.clone()), engine, Arc::new(mesh.clone()), config);
    dialer.serve(node.kubelet_api());
    parts.start("node", |stop| async move { node.run(stop).await });

    let services = Services::new(
        client(identity),
        mesh,
        NetmeshConfig { node_name: node_name.clone(), node_port_address: options.node_port_address },
    );
    parts.start("Services", |stop| async move { services.run(stop).await });

    let admin = client(Identity::user("kubernetes-admin").group("system:masters"));
    classes::create_default(&admin).await?;
    ready::node(&admin, &node_name).await?;
    println!("node            {node_name} is ready");
    let samples = match options.samples {
        true => Some(start_samples(&admin, &images, options.node_port_address).await?),
        false => None,
    };
    Ok(ready::line(&server, &kubeconfig, samples.as_deref()))
}

async fn start_samples(admin: &Client, images: &ImageStore, node_port_address: IpAddr) -> anyhow::Result<String> {
    samples::load_images(images)?;
    samples::apply(admin).await?;
    let url = samples::url(node_port_address);
    ready::answers(&url).await?;
    Ok(url)
}
