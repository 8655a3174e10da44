//! Makes what is into what should be.

use carob_reconcile::Informers;
use kube::Client;
use tokio_util::sync::CancellationToken;

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
    _client_for: impl Fn(&str) -> Client,
    _informers: &Informers,
    _config: Config,
    shutdown: CancellationToken,
) {
    shutdown.cancelled().await;
}
