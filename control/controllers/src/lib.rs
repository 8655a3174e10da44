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
//! | `garbage` | nothing outlives its owners, unless it is told to |
//! | `namespace` | a deleted namespace goes after everything that is in it |
//! | `accounts` | every namespace has its ServiceAccount and the cluster's CA |
//! | `volumes` | claims get their volumes, and volumes outlive them only if they are meant to |
//! | `nodes` | silent nodes are marked, and Pods that nobody else will remove are removed |
//!
//! This crate knows `kube::Client` and Kubernetes types. It never knows the store, HTTP, or how a Pod is run.
//!
//! Start reading in `replicas/plan.rs`, the smallest whole; then `deployment/plan.rs`. `tests/converge.rs` shows all
//! of them at work on a line that fails, delays and repeats.

mod accounts;
mod batch;
mod claim;
mod context;
mod deployment;
mod discovery;
mod endpoints;
mod garbage;
mod namespace;
mod nodes;
mod pods;
mod replicas;
mod volumes;
mod write;

use carob_reconcile::Informers;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::ReplicationController;
use kube::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// What the controllers need to know about the cluster.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster's CA certificates as PEM, published to every namespace as the ConfigMap `kube-root-ca.crt`.
    pub ca_pem: String,
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
    accounts::start(&mut context, config.ca_pem);
    namespace::start(&mut context);
    garbage::start(&mut context);
    nodes::start(&mut context);
    volumes::start(&mut context);
    deployment::start(&mut context);
    endpoints::start(&mut context);
    replicas::start::<ReplicaSet>(&mut context);
    replicas::start::<ReplicationController>(&mut context);
    shutdown.cancelled().await;
}
