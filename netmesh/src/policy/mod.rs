//! NetworkPolicies (`networking.k8s.io/v1`), kept at the decision point that every flow passes.
//!
//! - [`Policies`] follows the Pods, namespaces and policies of the whole cluster: a peer may run on any node;
//! - `rules`: one policy, read once;
//! - `state`: which policies are for which Pod (pure);
//! - `decide`: one flow between two ends (pure).
//!
//! What holds:
//!
//! - Both ends' policies are asked, at the node where the flow begins; a Pod of another node is known by its address.
//! - A connection is decided when it is made, and lives on when a policy changes later, as with most networks of
//!   Kubernetes. A datagram is decided each time, and so is a request of HTTP that is handed over without a connection.
//! - The answer to a datagram passes, to whom it came from, for a while.
//! - A Pod is never kept from itself, nor is the node from its Pods: probes and port-forward always reach them.
//! - An `ipBlock` means addresses, also those of Pods. Clients at a port of the host are seen at their own addresses.
//! - Looking up names is no flow: the node does it for its Pods.
//! - Until everything has been listed once, and for a Pod of which the API has not told yet but might have policies,
//!   flows are denied.

mod decide;
mod objects;
mod rules;
mod selector;
mod state;

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use carob_net::{Denial, Flow, OwnAddresses, Rule};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Client;
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::follow::{Follow, watch as follow};
pub(crate) use state::Change;
use state::State;

/// The NetworkPolicies of the cluster. Cloning shares them.
#[derive(Clone, Default)]
pub struct Policies {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: RwLock<State>,
    node: OwnAddresses,
    known: watch::Sender<bool>,
}

impl Policies {
    /// What has a network keep these policies.
    pub fn rule(&self) -> Box<dyn Rule> {
        Box::new(Kept(self.shared.clone()))
    }

    /// Follows what the API says until `shutdown`. Meanwhile the last that was said holds.
    pub async fn run(self, client: Client, shutdown: CancellationToken) {
        let mut pods = pin!(follow::<Pod>(&client));
        let mut namespaces = pin!(follow::<Namespace>(&client));
        let mut policies = pin!(follow::<NetworkPolicy>(&client));
        let (mut pods_seen, mut namespaces_seen) = (Follow::default(), Follow::default());
        let mut policies_seen = Follow::default();
        loop {
            let changes = tokio::select! {
                () = shutdown.cancelled() => break,
                Some(event) = pods.next() => pods_seen.on(event),
                Some(event) = namespaces.next() => namespaces_seen.on(event),
                Some(event) = policies.next() => policies_seen.on(event),
            };
            self.take_in(changes);
            if [&pods_seen, &namespaces_seen, &policies_seen].iter().all(|seen| seen.is_listed()) {
                self.complete();
            }
        }
    }

    /// Waits until all policies have been listed once. No flow passes before.
    pub async fn known(&self) {
        // It cannot fail: the sender is ours.
        let _ = self.shared.known.subscribe().wait_for(|known| *known).await;
    }

    pub(crate) fn take_in(&self, changes: Vec<Change>) {
        let mut state = self.shared.state.write();
        changes.into_iter().for_each(|change| state.apply(change));
    }

    pub(crate) fn complete(&self) {
        if !*self.shared.known.borrow() {
            self.shared.state.write().is_complete = true;
            self.shared.known.send_replace(true);
        }
    }
}

struct Kept(Arc<Shared>);

impl Rule for Kept {
    fn decide(&self, flow: &Flow<'_>) -> Result<(), Denial> {
        let is_node = |ip| self.0.node.contains(ip, Instant::now());
        self.0.state.read().decide(flow, is_node)
    }
}
