//! Keeps the Node and its Lease fresh.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{Node, NodeStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::watch;

use super::object::NodeFacts;
use crate::errors::said;
use crate::eviction::Pressure;
use crate::images::ImageStore;
use crate::ip::Cidr;

/// How long an answer may take that heartbeats wait for: a server that is stopped must not stop the heartbeat with it.
const ANSWER: Duration = Duration::from_secs(10);
/// How often it is looked whether the cluster has given the node its range of addresses.
const LOOK_FOR_RANGE: Duration = Duration::from_millis(100);
/// How often it is looked whether the Node changed, here or in the API: after a cut the control plane says that nothing is
/// known of the node, and the node knows better.
const LOOK: Duration = Duration::from_secs(10);
/// How often the Node is written although it did not.
const REPORT: Duration = Duration::from_secs(300);
const RETRY: Duration = Duration::from_secs(1);

/// Registers the node, then keeps its status true. Ends never.
pub(crate) async fn keep_node(
    client: Client,
    facts: NodeFacts,
    mut pressure: watch::Receiver<Pressure>,
    images: ImageStore,
    range: watch::Sender<Option<Cidr>>,
) {
    let nodes: Api<Node> = Api::all(client);
    let mut reported: Option<(NodeStatus, tokio::time::Instant)> = None;
    loop {
        let pressed = *pressure.borrow_and_update();
        let listed = images.list().unwrap_or_default().into_iter().map(|image| (image.name, image.size)).collect();
        let previous = reported.as_ref().map(|(status, _)| status);
        let held = *range.borrow();
        let status = facts.status(pressed, listed, held, previous, Timestamp::now());
        let fresh = reported.as_ref().is_some_and(|(before, at)| same(before, &status) && at.elapsed() < REPORT);
        if fresh {
            // Pressure is told at once. Whoever tells it lives as long as the node.
            let _ = tokio::time::timeout(LOOK, pressure.changed()).await;
            let looked = tokio::time::timeout(ANSWER, says_otherwise(&nodes, &facts.name, &status)).await;
            reported = reported.filter(|_| !looked.unwrap_or(false));
            continue;
        }
        match register(&nodes, &facts, &status).await {
            Ok(found) => {
                reported = Some((status, tokio::time::Instant::now()));
                if found.is_some() && found != held {
                    range.send_replace(found);
                }
                if found.is_none() {
                    reported = None;
                    tokio::time::sleep(LOOK_FOR_RANGE).await;
                }
            }
            Err(error) => {
                tracing::warn!(
                    node = facts.name,
                    error = said(&error),
                    "the Node could not be written; it is tried again"
                );
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Writes the status; if there is no such Node (yet, or any more), creates it first. Answers the range of addresses that the
/// cluster has given to it, if it has.
async fn register(nodes: &Api<Node>, facts: &NodeFacts, status: &NodeStatus) -> Result<Option<Cidr>, kube::Error> {
    let params = PatchParams::default();
    let own = json!({"metadata": {"labels": facts.all_labels(), "annotations": facts.annotations}});
    match nodes.patch(&facts.name, &params, &Patch::Merge(own)).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 => {
            nodes.create(&PostParams::default(), &facts.node()).await?;
            tracing::info!(node = facts.name, "registered");
        }
        Err(error) => return Err(error),
    }
    let node = nodes.patch_status(&facts.name, &params, &Patch::Strategic(json!({"status": status}))).await?;
    Ok(node.spec.and_then(|spec| spec.pod_cidr).and_then(|range| range.parse().ok()))
}

/// Whether the API knows the Node, and has other conditions of it than these.
async fn says_otherwise(nodes: &Api<Node>, name: &str, status: &NodeStatus) -> bool {
    let Ok(Some(node)) = nodes.get_opt(name).await else { return false };
    let found = node.status.and_then(|status| status.conditions).unwrap_or_default();
    let says = |type_: &str| found.iter().find(|one| one.type_ == type_).map(|one| &one.status);
    status.conditions.iter().flatten().any(|condition| says(&condition.type_) != Some(&condition.status))
}

/// Whether nothing but the time of the heartbeat differs.
fn same(before: &NodeStatus, status: &NodeStatus) -> bool {
    let mut status = status.clone();
    for condition in status.conditions.iter_mut().flatten() {
        let same = before.conditions.iter().flatten().find(|before| before.type_ == condition.type_);
        condition.last_heartbeat_time = same.and_then(|same| same.last_heartbeat_time.clone());
    }
    *before == status
}

/// Renews the node's Lease. Ends never.
pub(crate) async fn keep_lease(client: Client, node: String, duration: Duration) {
    let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-node-lease");
    let nodes: Api<Node> = Api::all(client);
    loop {
        let wait = match tokio::time::timeout(ANSWER, renew(&leases, &nodes, &node, duration)).await {
            Ok(Ok(true)) => duration / 4,
            Ok(Ok(false)) => RETRY,
            Err(_) => {
                tracing::warn!(node, "the API server does not answer about the node's Lease; it is tried again");
                RETRY
            }
            Ok(Err(error)) => {
                tracing::warn!(node, error = said(&error), "the node's Lease could not be renewed; it is tried again");
                RETRY
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// Answers whether it did: the Lease goes with its Node, and there may be none yet.
async fn renew(leases: &Api<Lease>, nodes: &Api<Node>, node: &str, duration: Duration) -> Result<bool, kube::Error> {
    let seconds = seconds(duration);
    let renewed = json!({"spec": {"renewTime": MicroTime(Timestamp::now()), "leaseDurationSeconds": seconds}});
    match leases.patch(node, &PatchParams::default(), &Patch::Merge(renewed)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => create(leases, nodes, node, seconds).await,
        other => other.map(|_| true),
    }
}

/// A Lease counts in whole seconds.
fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs().max(1)).unwrap_or(i32::MAX)
}

async fn create(
    leases: &Api<Lease>,
    nodes: &Api<Node>,
    node: &str,
    duration_seconds: i32,
) -> Result<bool, kube::Error> {
    let Some(owner) = nodes.get_metadata_opt(node).await? else { return Ok(false) };
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: node.to_owned(),
        uid: owner.metadata.uid.unwrap_or_default(),
        ..OwnerReference::default()
    };
    let lease = Lease {
        metadata: ObjectMeta {
            name: Some(node.to_owned()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(node.to_owned()),
            lease_duration_seconds: Some(duration_seconds),
            renew_time: Some(MicroTime(Timestamp::now())),
            ..LeaseSpec::default()
        }),
    };
    leases.create(&PostParams::default(), &lease).await.map(|_| true)
}
