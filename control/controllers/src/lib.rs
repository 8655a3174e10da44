//! Makes what is into what should be.

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
    deployment::start(&mut context);
    endpoints::start(&mut context);
    replicas::start::<ReplicaSet>(&mut context);
    replicas::start::<ReplicationController>(&mut context);
    shutdown.cancelled().await;
}
