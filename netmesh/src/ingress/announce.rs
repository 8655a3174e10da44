//! Says on this node's Node object where the gateway listens.

use std::pin::pin;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

/// An annotation of this node.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// The Node's name.
    pub node: String,
    /// The annotation's name.
    pub annotation: &'static str,
    /// Its value; empty where nothing is listened to.
    pub addresses: String,
}

/// Keeps the annotation as it should be, whatever becomes of the Node. Ends never.
pub(crate) async fn keep(client: Client, wanted: Announcement) {
    let nodes: Api<Node> = Api::all(client);
    let config = watcher::Config::default().fields(&format!("metadata.name={}", wanted.node));
    let mut seen = pin!(watcher(nodes.clone(), config).default_backoff().applied_objects());
    while let Some(event) = seen.next().await {
        let Ok(node) = event else { continue };
        if node.annotations().get(wanted.annotation).map(String::as_str).unwrap_or_default() == wanted.addresses {
            continue;
        }
        let patch = json!({ "metadata": { "annotations": { wanted.annotation: wanted.addresses } } });
        // A failure is tried again at the next heartbeat, which changes the Node.
        if let Err(error) = nodes.patch(&wanted.node, &PatchParams::default(), &Patch::Merge(patch)).await {
            tracing::warn!(%error, "it cannot be said where the gateway listens; it is tried again");
        }
    }
}
