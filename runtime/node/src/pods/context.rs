//! What all Pods of a node share.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use carob_net::Networks;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::Client;
use tokio::sync::watch;

use super::events::Recorder;
use super::links::Links;
use super::table::PodTable;
use crate::clock::Clock;
use crate::eviction::Pressure;
use crate::images::ImageStore;
use crate::ip::PodIps;
use crate::keyvalue::Buckets;
use crate::logs::{LogHub, PodDirs};
use crate::node::ClusterNames;
use crate::runtime::Runtime;
use crate::volumes::{Capacities, MemoryDirs, NodeMemory, Objects, Roots};

pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) buckets: Arc<Buckets>,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) images: ImageStore,
    /// Changes when an image was loaded.
    pub(crate) image_news: watch::Receiver<()>,
    /// Each Pod is joined to it as soon as it has an address.
    pub(crate) networks: Arc<dyn Networks>,
    pub(crate) ips: PodIps,
    pub(crate) recorder: Recorder,
    pub(crate) links: Links,
    pub(crate) clock: Clock,
    pub(crate) logs: LogHub,
    pub(crate) dirs: PodDirs,
    pub(crate) table: PodTable,
    pub(crate) node_name: String,
    pub(crate) host_ip: IpAddr,
    pub(crate) names: ClusterNames,
    /// The node's labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// What volumes are made from.
    pub(crate) objects: Objects,
    pub(crate) memory: MemoryDirs,
    pub(crate) node_memory: Arc<NodeMemory>,
    pub(crate) capacities: Capacities,
    pub(crate) roots: Roots,
    /// What the node is short of.
    pub(crate) pressure: watch::Receiver<Pressure>,
    pub(crate) allocatable: BTreeMap<String, Quantity>,
}
