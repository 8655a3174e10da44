//! Makes what is into what should be.
//!
//! Each controller is a pure plan over a snapshot (`plan(&Observed, now)`), and a thin shell that reads the snapshot
//! from the shared informers, executes the plan through a client with an identity of its own, and puts the answers of
//! its writes back into the informers, so that the next plan sees them. The loop around it is `carob-reconcile`'s.
//!
//! | module | makes sure that |
//! |---|---|
//! | `deployment` | Pods move from one ReplicaSet to the next within the strategy's limits, with history |
//! | `replicas` | a ReplicaSet or ReplicationController has as many Pods as it says |
//! | `endpoints` | EndpointSlices and Endpoints say where the Pods of a Service answer |
//! | `balancers` | Services of type LoadBalancer say which nodes take their flows |
//! | `garbage` | nothing outlives its owners, unless it is told to |
//! | `namespace` | a deleted namespace goes after everything that is in it |
//! | `certificates` | nodes get the certificates they ask for, and requests are forgotten |
//! | `tokens` | bootstrap tokens go when they are over |
//! | `accounts` | every namespace has its ServiceAccount and the cluster's CA |
//! | `volumes` | claims get their volumes, and volumes outlive them only if they are meant to |
//! | `ingress` | an Ingress says at which addresses it is served |
//! | `nodes` | nodes have ranges of addresses, silent ones are marked, and Pods that nobody else will remove are removed |
//!
//! This crate knows `kube::Client` and Kubernetes types. It never knows the store, HTTP, or how a Pod is run.
//!
//! Start reading in `replicas/plan.rs`, the smallest whole; then `deployment/plan.rs`. `tests/converge.rs` shows all
//! of them at work on a line that fails, delays and repeats.

mod accounts;
mod balancers;
mod batch;
mod certificates;
mod claim;
mod context;
mod deployment;
mod discovery;
mod endpoints;
mod garbage;
mod ingress;
mod namespace;
mod nodes;
mod pods;
mod replicas;
mod tokens;
mod volumes;
mod write;

use std::sync::Arc;
use std::time::Duration;

use carob_pki::Authority;
use carob_reconcile::Informers;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::ReplicationController;
use kube::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use crate::nodes::{EvictionRates, PodNetwork, PodNetworkError};

use crate::context::Context;

/// What the controllers need to know about the cluster.
#[derive(Clone)]
pub struct Config {
    /// The cluster's authority. It signs certificates; its own is published to every namespace as the ConfigMap
    /// `kube-root-ca.crt`.
    pub authority: Arc<Authority>,
    /// How long a certificate is good that is signed on request; one may ask for less.
    pub signing_duration: Duration,
    /// The network of all Pods, and how nodes share it.
    pub pod_network: PodNetwork,
    /// How long nothing may be heard of a node before it counts as lost.
    pub node_monitor_grace_period: Duration,
    /// How fast Pods are evicted from nodes that are lost.
    pub eviction_rates: EvictionRates,
}

impl Config {
    /// With the defaults: certificates for a year, `10.244.0.0/16` in parts of `/18`, 40 seconds of silence.
    pub fn new(authority: Arc<Authority>) -> Self {
        Self {
            authority,
            signing_duration: Duration::from_secs(365 * 24 * 60 * 60),
            pod_network: PodNetwork::default(),
            node_monitor_grace_period: nodes::SILENCE,
            eviction_rates: EvictionRates::default(),
        }
    }
}

/// Runs all controllers until `shutdown`. They read through the shared informers; each writes through a client of
/// its own, which `client_for` makes for the user name of the controller's identity
/// (`system:serviceaccount:kube-system:deployment-controller`).
pub async fn run(
    client_for: impl Fn(&str) -> Client + Sync,
    informers: &Informers,
    config: Config,
    shutdown: CancellationToken,
) {
    let mut context = Context { informers, client_for: &client_for, tasks: JoinSet::new() };
    accounts::start(&mut context, config.authority.certificate().to_owned());
    certificates::start(&mut context, config.authority.clone(), config.signing_duration);
    tokens::start(&mut context);
    namespace::start(&mut context);
    garbage::start(&mut context);
    nodes::start(&mut context, &config);
    volumes::start(&mut context);
    deployment::start(&mut context);
    endpoints::start(&mut context);
    ingress::start(&mut context);
    balancers::start(&mut context);
    replicas::start::<ReplicaSet>(&mut context);
    replicas::start::<ReplicationController>(&mut context);
    shutdown.cancelled().await;
}
