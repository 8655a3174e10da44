//! The node as a whole.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use carob_engine::Engine;
use carob_net::{Names, Networks};
use k8s_openapi::api::core::v1::Taint;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::Client;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Sessions, Shown};
use crate::clock::Clock;
use crate::eviction::{Evictor, Hysteresis, Pressure, Thresholds};
use crate::images::{self, ImageStore};
use crate::ip::{Cidr, PodIps};
use crate::keyvalue::Buckets;
use crate::local_path;
use crate::logs::{LogHub, PodDirs};
use crate::machine::Machine;
use crate::pods::{self, Context, EventWriter, Links, PodTable, Recorder, ServiceWatch};
use crate::quantity;
use crate::registration::{NodeFacts, allocatable, keep_lease, keep_node};
use crate::runtime::{Runtime, WasmRuntime};
use crate::stats::{self, Samples};
use crate::tools;
use crate::volumes::{Capacities, MemoryDirs, NodeMemory, Objects, Roots};

/// How a node is named and what it may use.
#[derive(Clone)]
pub struct NodeConfig {
    /// The Node object's name.
    pub name: String,
    /// Where logs and whatever else belongs to Pods is kept.
    pub data_dir: PathBuf,
    /// The images that it can run.
    pub images: ImageStore,
    /// The node's own address, reported as `InternalIP` and as its Pods' `hostIP`.
    pub address: IpAddr,
    /// Where clients outside reach ports of Services and Pods on this node, reported as `ExternalIP` if it is another.
    pub external_address: Option<IpAddr>,
    /// Most Pods that the node takes. An HTTP Pod that idles holds no instance and costs its metadata, so that this is
    /// far above a kubelet's 110.
    pub max_pods: u32,
    /// How little may be left of memory and disk before the node says so and evicts Pods.
    pub eviction_hard: Thresholds,
    /// How long the node goes on saying that it is short of something after it was.
    pub eviction_pressure_transition: Duration,
    /// Reported as the version of the kubelet.
    pub kubelet_version: String,
    /// Reported as the port of the kubelet's API; 0 where there is no listener.
    pub kubelet_port: u16,
    /// How Pods find names.
    pub names: ClusterNames,
    /// Labels beside those that every node has.
    pub labels: BTreeMap<String, String>,
    /// Annotations that the node keeps on its Node object.
    pub annotations: BTreeMap<String, String>,
    /// Taints of the node when it registers for the first time. Later ones are the cluster's.
    pub taints: Vec<Taint>,
    /// For how long a heartbeat is good; a quarter of it is between two.
    pub lease_duration: Duration,
}

impl NodeConfig {
    /// A configuration with the defaults: 10,000 Pods, or as many as the node gets addresses for.
    pub fn new(
        name: impl Into<String>,
        data_dir: impl Into<PathBuf>,
        images: ImageStore,
        address: IpAddr,
    ) -> NodeConfig {
        NodeConfig {
            name: name.into(),
            data_dir: data_dir.into(),
            images,
            address,
            external_address: None,
            max_pods: 10_000,
            eviction_hard: Thresholds::default(),
            eviction_pressure_transition: Duration::from_secs(300),
            kubelet_version: concat!("v1.37.0+carob-", env!("CARGO_PKG_VERSION")).to_owned(),
            kubelet_port: 0,
            names: ClusterNames::default(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            taints: Vec::new(),
            lease_duration: Duration::from_secs(40),
        }
    }
}

/// How names are found in the cluster.
#[derive(Clone, Debug)]
pub struct ClusterNames {
    /// The cluster's domain.
    pub domain: String,
    /// Where its DNS answers.
    pub server: IpAddr,
    /// What the host's own `resolv.conf` says.
    pub host: Names,
}

impl Default for ClusterNames {
    /// The domain and the server that a cluster of Carob has by default; nothing of the host.
    fn default() -> ClusterNames {
        ClusterNames {
            domain: "cluster.local".to_owned(),
            server: Ipv4Addr::new(10, 96, 0, 10).into(),
            host: Names::default(),
        }
    }
}

/// One node of the cluster.
pub struct Node {
    context: Arc<Context>,
    config: NodeConfig,
    machine: Machine,
    samples: Samples,
    pressure: watch::Sender<Pressure>,
    events: Mutex<Option<EventWriter>>,
    services: Mutex<Option<ServiceWatch>>,
    image_news: watch::Sender<()>,
    sessions: Sessions,
}

impl Node {
    /// A node that runs its containers on `engine` and joins its Pods to `networks`.
    pub fn new(client: Client, engine: Engine, networks: Arc<dyn Networks>, config: NodeConfig) -> Node {
        Node::with(client, Arc::new(WasmRuntime::new(engine)), networks, config, Clock::Wall)
    }

    pub(crate) fn with(
        client: Client,
        runtime: Arc<dyn Runtime>,
        networks: Arc<dyn Networks>,
        config: NodeConfig,
        clock: Clock,
    ) -> Node {
        let machine = Machine::read(&config.data_dir);
        let allocatable = allocatable(&machine, &config.eviction_hard, config.max_pods);
        let labels = facts(&config, &machine, &allocatable).all_labels();
        let (recorder, events) = Recorder::new(client.clone(), config.name.clone());
        let (links, services) = Links::new(client.clone());
        let (news_sender, image_news) = watch::channel(());
        let (pressure, pressed) = watch::channel(Pressure::default());
        let table = PodTable::default();
        let memory = allocatable.get("memory").and_then(quantity::units).unwrap_or(0);
        let context = Context {
            objects: Objects::new(client.clone()),
            memory: MemoryDirs::of(&config.data_dir),
            node_memory: NodeMemory::new(table.clone(), memory),
            capacities: Capacities::default(),
            roots: Roots::new(config.data_dir.join("roots")),
            labels,
            client,
            buckets: Arc::new(Buckets::new(config.data_dir.join("keyvalue.redb"))),
            runtime,
            images: config.images.clone(),
            image_news,
            networks,
            ips: PodIps::default(),
            recorder,
            links,
            clock,
            logs: LogHub::default(),
            dirs: PodDirs::new(config.data_dir.join("pods")),
            table,
            node_name: config.name.clone(),
            host_ip: config.address,
            names: config.names.clone(),
            pressure: pressed,
            allocatable,
        };
        let (events, services) = (Mutex::new(Some(events)), Mutex::new(Some(services)));
        let samples = Samples::default();
        let (context, sessions) = (Arc::new(context), Sessions::default());
        Node { context, config, machine, samples, pressure, events, services, image_news: news_sender, sessions }
    }

    /// Runs the node until `shutdown`, or until the future is dropped; then every container of it has ended.
    ///
    /// It is to be called once.
    pub async fn run(&self, shutdown: CancellationToken) {
        let (events, services) = (self.events.lock().take(), self.services.lock().take());
        let images = self.context.images.clone();
        let facts = facts(&self.config, &self.machine, &self.context.allocatable);
        let (evictor, pressure) = (self.evictor(), self.pressure.subscribe());
        let (range, ranges) = watch::channel(None);
        provide_tools(images.clone()).await;
        self.sweep().await;
        let parts = async {
            tokio::join!(
                self.run_pods(ranges),
                keep_node(self.context.client.clone(), facts, pressure, images.clone(), range),
                evictor.run(),
                stats::keep(
                    self.samples.clone(),
                    self.context.table.clone(),
                    self.config.data_dir.clone(),
                    self.context.clock
                ),
                keep_lease(self.context.client.clone(), self.config.name.clone(), self.config.lease_duration),
                images::news::tell(images.clone(), self.image_news.clone()),
                self.context.buckets.follow_namespaces(self.context.client.clone()),
                local_path::run(
                    self.context.client.clone(),
                    self.config.name.clone(),
                    self.config.data_dir.join("local-path"),
                ),
                self.forget_files(),
                async {
                    if let Some(events) = events {
                        events.run().await;
                    }
                },
                async {
                    if let Some(services) = services {
                        services.run().await;
                    }
                },
            )
        };
        tokio::select! {
            _ = parts => {}
            () = shutdown.cancelled() => {}
        }
        self.sessions.end();
    }

    /// The kubelet's HTTP API of this node.
    pub fn kubelet_api(&self) -> Router {
        api::router(Shown {
            node_name: self.config.name.as_str().into(),
            table: self.context.table.clone(),
            networks: self.context.networks.clone(),
            logs: self.context.logs.clone(),
            dirs: self.context.dirs.clone(),
            data_dir: self.config.data_dir.clone(),
            samples: self.samples.clone(),
            started: self.context.clock.now(),
            sessions: self.sessions.clone(),
        })
    }

    /// No Pod runs before the cluster has said which addresses are this node's.
    async fn run_pods(&self, mut ranges: watch::Receiver<Option<Cidr>>) {
        let ips = &self.context.ips;
        if let Ok(range) = ranges.wait_for(Option::is_some).await {
            range.iter().for_each(|range| ips.draw_from(*range));
        }
        let follow = async {
            while ranges.changed().await.is_ok() {
                ranges.borrow_and_update().iter().for_each(|range| ips.draw_from(*range));
            }
        };
        tokio::join!(pods::run(self.context.clone()), follow);
    }

    fn evictor(&self) -> Evictor {
        Evictor {
            context: self.context.clone(),
            data_dir: self.config.data_dir.clone(),
            thresholds: self.config.eviction_hard.clone(),
            hysteresis: Hysteresis::new(self.config.eviction_pressure_transition),
            pressure: self.pressure.clone(),
        }
    }

    /// Removes what another process has left: what its containers saw at `/`, and memory of nodes that are gone.
    async fn sweep(&self) {
        let context = self.context.clone();
        let sweep = move || context.roots.sweep().and(context.memory.remove_forsaken());
        if let Ok(Err(error)) = tokio::task::spawn_blocking(sweep).await {
            tracing::warn!(%error, "files of containers that are gone could not be removed");
        }
    }

    /// Removes the unpacked files of images that are gone, whenever images have changed.
    async fn forget_files(&self) {
        let mut news = self.context.image_news.clone();
        loop {
            let context = self.context.clone();
            let forget = move || {
                let images = context.images.list().map_err(std::io::Error::other)?;
                context.roots.forget(|hex| images.iter().any(|image| image.digest.ends_with(hex)))
            };
            if let Ok(Err(error)) = tokio::task::spawn_blocking(forget).await {
                tracing::warn!(%error, "files of images that are gone could not be removed");
            }
            if news.changed().await.is_err() {
                return;
            }
        }
    }
}

fn facts(config: &NodeConfig, machine: &Machine, allocatable: &BTreeMap<String, Quantity>) -> NodeFacts {
    let config = config.clone();
    NodeFacts {
        name: config.name,
        address: config.address,
        external_address: config.external_address,
        labels: config.labels,
        annotations: config.annotations,
        taints: config.taints,
        max_pods: config.max_pods,
        kubelet_version: config.kubelet_version,
        kubelet_port: config.kubelet_port,
        allocatable: allocatable.clone(),
        machine: machine.clone(),
    }
}

/// A node whose image store cannot be written still runs what is in it.
async fn provide_tools(images: ImageStore) {
    match tokio::task::spawn_blocking(move || tools::provide(&images)).await {
        Ok(Err(error)) => tracing::warn!(%error, "the tools are no image here: ephemeral containers cannot run them"),
        _ => tracing::debug!("the tools are an image"),
    }
}
