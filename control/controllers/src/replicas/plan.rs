//! Pure: the owner and its Pods go in, what to create and delete comes out.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::claim::{Claim, controller_reference};
use crate::pods::{available_in, is_active};
use crate::replicas::owner::ReplicaOwner;
use crate::replicas::ranking::first_to_go;

/// So many Pods are created or deleted in one run, at most.
const BURST: usize = 500;

/// What one run has to do to the Pods.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Take control of these.
    pub(crate) adopt: Vec<Arc<Pod>>,
    /// Let go of these.
    pub(crate) release: Vec<Arc<Pod>>,
    /// Create so many.
    pub(crate) create: usize,
    /// Delete these.
    pub(crate) delete: Vec<Arc<Pod>>,
    /// The active Pods that the owner has: what its status counts.
    pub(crate) active: Vec<Arc<Pod>>,
    /// When a Pod that is ready becomes available: look again then.
    pub(crate) look_again: Option<Duration>,
}

impl Plan {
    /// The active Pods without those that this plan deletes.
    pub(crate) fn remaining(&self) -> Vec<Arc<Pod>> {
        let is_doomed = |pod: &&Arc<Pod>| self.delete.iter().any(|doomed| Arc::ptr_eq(doomed, pod));
        match self.delete.is_empty() {
            true => self.active.clone(),
            false => self.active.iter().filter(|pod| !is_doomed(pod)).cloned().collect(),
        }
    }
}

/// Plans one run. `related` are the Pods of all owners that do the same work.
pub(crate) fn plan<O: ReplicaOwner>(owner: &O, claim: Claim<Pod>, related: &[Arc<Pod>], now: Timestamp) -> Plan {
    let mut active: Vec<_> = claim.held.into_iter().filter(|pod| is_active(pod)).collect();
    let adopt: Vec<_> = claim.adopt.into_iter().filter(|pod| is_active(pod)).collect();
    let release = claim.release.into_iter().filter(|pod| is_active(pod)).collect();
    active.extend(adopt.iter().cloned());
    let desired = usize::try_from(owner.desired()).unwrap_or(0);
    let is_deleted = owner.meta().deletion_timestamp.is_some();
    let (create, excess) = match is_deleted {
        true => (0, 0),
        false => (desired.saturating_sub(active.len()).min(BURST), active.len().saturating_sub(desired).min(BURST)),
    };
    let delete = if excess > 0 { first_to_go(&active, related, excess) } else { Vec::new() };
    let look_again = active
        .iter()
        .filter_map(|pod| available_in(pod, owner.min_ready_seconds(), now))
        .filter(|wait| !wait.is_zero())
        .min();
    Plan { adopt, release, create, delete, active, look_again }
}

/// The Pod that the owner's template describes; `None` without a template.
pub(crate) fn pod_from_template<O: ReplicaOwner>(owner: &O) -> Option<Pod> {
    let template = owner.template()?;
    let described = template.metadata.clone().unwrap_or_default();
    let name = owner.meta().name.as_deref().unwrap_or_default();
    Some(Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            namespace: owner.meta().namespace.clone(),
            labels: described.labels,
            annotations: described.annotations,
            finalizers: described.finalizers,
            owner_references: Some(vec![controller_reference(owner)]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    })
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
