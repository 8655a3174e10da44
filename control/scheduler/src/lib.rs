//! Decides where.

use carob_reconcile::Informers;
use kube::Client;
use tokio_util::sync::CancellationToken;

/// Runs the scheduler until `shutdown`. It reads through the shared informers, and writes (bindings, conditions,
/// Events) through `client`, whose identity is the scheduler's own (`system:kube-scheduler`).
pub async fn run(_client: Client, _informers: &Informers, shutdown: CancellationToken) {
    shutdown.cancelled().await;
}
