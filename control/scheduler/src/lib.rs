//! Decides where.
//!
//! Every Pod that has no node gets one, or an Event that says why not. The decision is a pure function over what is
//! known of the nodes (`cache.rs`): filters say where the Pod can run, scores say where it should. One Pod is decided
//! at a time and its resources are counted at once ("assumed"), before the API server has heard of it: so a burst of
//! Pods is never over-committed, while their bindings are written concurrently. A Pod whose claims wait for it keeps its
//! place until its volumes are there (`storage.rs`).
//!
//! This crate knows `kube::Client`, Kubernetes types and, of `carob-resources`, how a quantity reads. It never knows the
//! store, HTTP, how a node runs a Pod, or why a Pod exists.
//!
//! Start reading in `plan.rs`, then `filter.rs` and `score.rs`; `driver.rs` is the thin shell.

mod affinity;
mod cache;
mod demand;
mod driver;
mod filter;
mod lookup;
mod node;
mod plan;
mod quantity;
mod reserved;
mod resources;
mod score;
mod settle;
mod storage;
mod taints;
mod waiting;

use carob_reconcile::Informers;
use kube::Client;
use tokio_util::sync::CancellationToken;

/// Runs the scheduler until `shutdown`. It reads through the shared informers, and writes (bindings, conditions,
/// Events) through `client`, whose identity is the scheduler's own (`system:kube-scheduler`).
pub async fn run(client: Client, informers: &Informers, shutdown: CancellationToken) {
    tokio::select! {
        () = driver::run(client, informers) => {}
        () = shutdown.cancelled() => {}
    }
}
