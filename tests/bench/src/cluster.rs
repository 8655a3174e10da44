//! A whole cluster in this process.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use carob_apiserver::{ApiServer, Config, Identity};
use carob_engine::{Engine, EngineConfig};
use carob_netmesh::{Mesh, MeshConfig};
use carob_node::images::ImageStore;
use carob_node::{Node, NodeConfig};
use carob_reconcile::Informers;
use carob_store::Redb;
use k8s_openapi::api::core::v1::Node as NodeObject;
use kube::{Api, Client};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Far more than a node takes to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The parts as `carob up` wires them, but for sockets. Dropping it ends them.
pub(crate) struct Cluster {
    pub(crate) admin: Client,
    pub(crate) mesh: Mesh,
    _parts: JoinSet<()>,
}

impl Cluster {
    /// A cluster that knows one image, as soon as its node is there.
    pub(crate) async fn start(dir: &Path, image: &str, component: &[u8]) -> Result<Cluster> {
        let store = Redb::open(&dir.join("store.redb"), carob_store::Options::default())?;
        let api = ApiServer::new(Arc::new(store), Config::default()).await?;
        let door = api.clone();
        let client =
            move |user: &str| Client::new(door.client(Identity::user(user).group("system:masters")), "default");
        let stop = CancellationToken::new();
        let mut parts = JoinSet::new();
        let informers = Arc::new(Informers::new(client("system:kube-controller-manager")));
        let (scheduler, shared, token) = (client("system:kube-scheduler"), informers.clone(), stop.clone());
        parts.spawn(async move { carob_scheduler::run(scheduler, &shared, token).await });
        let (clients, token) = (client.clone(), stop.clone());
        let authority = Arc::new(carob_pki::Authority::generate("bench", std::time::SystemTime::now())?);
        let config = carob_controllers::Config::new(authority);
        parts.spawn(async move { carob_controllers::run(clients, &informers, config, token).await });
        let images = ImageStore::open(dir.join("images"))?;
        images.load(component, image)?;
        let engine = Engine::new(EngineConfig::new(dir.join("compiled")))?;
        let mut config = NodeConfig::new("node", dir.join("node"), images, IpAddr::V4(Ipv4Addr::LOCALHOST));
        // A full disk is no matter of this benchmark; under its pressure nothing would be scheduled.
        config.eviction_hard = "nodefs.available<1%,imagefs.available<1%".parse()?;
        let mesh = Mesh::new(MeshConfig::default());
        let node = Node::new(client("system:node:node"), engine, Arc::new(mesh.clone()), config);
        parts.spawn(async move { node.run(stop).await });
        let cluster = Cluster { admin: client("admin"), mesh, _parts: parts };
        timeout(PATIENCE, cluster.node()).await.context("no node has come")??;
        Ok(cluster)
    }

    async fn node(&self) -> Result<()> {
        let nodes: Api<NodeObject> = Api::all(self.admin.clone());
        while nodes.get_opt("node").await?.and_then(|node| node.status?.conditions).is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}
