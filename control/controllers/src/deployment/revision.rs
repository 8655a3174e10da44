//! The history: which ReplicaSet was which revision.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};

use crate::claim::created;
use crate::deployment::limits::Limits;
use crate::deployment::sets::{Sets, actual, annotation, is_observed, replicas};

pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(crate) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub(crate) const MOST: &str = "deployment.kubernetes.io/max-replicas";
/// Of the Deployment's annotations these are not the ReplicaSet's.
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MOST,
    "deprecated.deployment.rollback.to",
];
const DEFAULT_HISTORY: i32 = 10;

pub(crate) fn revision_of(set: &ReplicaSet) -> i64 {
    annotation(set, REVISION).and_then(|revision| revision.parse().ok()).unwrap_or(0)
}

/// The revision that a new (or re-used) ReplicaSet gets: one more than all others.
pub(crate) fn next_revision(sets: &Sets) -> i64 {
    sets.old.iter().map(|set| revision_of(set)).max().unwrap_or(0) + 1
}

/// The annotations that the new set lacks; empty when it is up to date.
pub(crate) fn missing_annotations(deployment: &Deployment, new: &ReplicaSet, next: i64) -> BTreeMap<String, String> {
    let mut missing = copied_annotations(deployment);
    missing.retain(|name, value| annotation(new, name) != Some(value));
    let present = revision_of(new);
    if present < next {
        missing.insert(REVISION.into(), next.to_string());
        if present > 0 {
            missing.insert(HISTORY.into(), longer_history(new, present));
        }
    }
    missing
}

/// The annotations of a set that is to be created.
pub(crate) fn first_annotations(deployment: &Deployment, next: i64) -> BTreeMap<String, String> {
    let mut annotations = copied_annotations(deployment);
    annotations.insert(REVISION.into(), next.to_string());
    annotations.extend(size_annotations(Limits::of(deployment)));
    annotations
}

/// What the set must know of the Deployment's size to tell a scaling from a rollout.
pub(crate) fn size_annotations(limits: Limits) -> BTreeMap<String, String> {
    BTreeMap::from([(DESIRED.into(), limits.replicas.to_string()), (MOST.into(), limits.most().to_string())])
}

/// Old sets past the history limit that have no Pods, the oldest revisions first.
pub(crate) fn expired(deployment: &Deployment, sets: &Sets) -> Vec<Arc<ReplicaSet>> {
    let limit = deployment.spec.revision_history_limit.unwrap_or(DEFAULT_HISTORY);
    let mut old: Vec<_> = sets.old.iter().filter(|set| set.metadata.deletion_timestamp.is_none()).cloned().collect();
    let excess = old.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
    old.sort_by_cached_key(|set| (revision_of(set), created(&set.metadata)));
    old.truncate(excess);
    old.retain(|set| replicas(set) == 0 && actual(set) == 0 && is_observed(set));
    old
}

fn copied_annotations(deployment: &Deployment) -> BTreeMap<String, String> {
    let mut annotations = deployment.metadata.annotations.clone().unwrap_or_default();
    annotations.retain(|name, _| !NOT_COPIED.contains(&name.as_str()));
    annotations
}

fn longer_history(new: &ReplicaSet, revision: i64) -> String {
    match annotation(new, HISTORY).filter(|history| !history.is_empty()) {
        Some(history) => format!("{history},{revision}"),
        None => revision.to_string(),
    }
}
