use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::ResourceExt;

use crate::claim::created;

/// The label by which the Pods of one ReplicaSet are told from those of the others.
pub(crate) const HASH_LABEL: &str = "pod-template-hash";

/// A Deployment's ReplicaSets: the one with its present template, if it exists, and the others, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sets {
    pub(crate) new: Option<Arc<ReplicaSet>>,
    pub(crate) old: Vec<Arc<ReplicaSet>>,
}

impl Sets {
    /// Of several with the present template the oldest is the one, so that all runs agree.
    pub(crate) fn of(deployment: &Deployment, mut sets: Vec<Arc<ReplicaSet>>) -> Self {
        sets.sort_by_cached_key(|set| (created(&set.metadata), set.name_any()));
        let position = sets.iter().position(|set| {
            set.spec.template.as_ref().is_some_and(|template| same_template(template, &deployment.spec.template))
        });
        let new = position.map(|position| sets.remove(position));
        Self { new, old: sets }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<ReplicaSet>> {
        self.old.iter().chain(self.new.iter())
    }

    pub(crate) fn active_old(&self) -> impl Iterator<Item = &Arc<ReplicaSet>> {
        self.old.iter().filter(|set| replicas(set) > 0)
    }

    /// How many Pods the sets are told to have.
    pub(crate) fn replicas(&self) -> i32 {
        self.all().map(|set| replicas(set)).sum()
    }

    pub(crate) fn surely_available(&self) -> i32 {
        self.all().map(|set| surely_available(set)).sum()
    }

    pub(crate) fn reported_available(&self) -> i32 {
        self.all().map(|set| reported_available(set)).sum()
    }

    /// How many Pods the sets have.
    pub(crate) fn actual(&self) -> i32 {
        self.all().map(|set| actual(set)).sum()
    }

    pub(crate) fn ready(&self) -> i32 {
        self.all().filter_map(|set| set.status.as_ref()?.ready_replicas).sum()
    }
}

pub(crate) fn replicas(set: &ReplicaSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

pub(crate) fn actual(set: &ReplicaSet) -> i32 {
    set.status.as_ref().map_or(0, |status| status.replicas)
}

/// How many Pods of the set are available for sure. A status from before the set got its present size says nothing:
/// the Pods that it counts may be gone, and with them a rolling update would take too many.
pub(crate) fn surely_available(set: &ReplicaSet) -> i32 {
    if is_observed(set) { reported_available(set).min(replicas(set)) } else { 0 }
}

/// Whether the set's controller has seen the set as it is now.
pub(crate) fn is_observed(set: &ReplicaSet) -> bool {
    set.metadata.generation <= set.status.as_ref().and_then(|status| status.observed_generation)
}

fn reported_available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0)
}

pub(crate) fn annotation<'a>(set: &'a ReplicaSet, name: &str) -> Option<&'a str> {
    set.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

/// Equal but for the label that we add ourselves.
pub(crate) fn same_template(a: &PodTemplateSpec, b: &PodTemplateSpec) -> bool {
    a.spec == b.spec && without_hash(a) == without_hash(b)
}

fn without_hash(template: &PodTemplateSpec) -> PodTemplateSpec {
    let mut metadata = template.metadata.clone().unwrap_or_default();
    let mut labels = metadata.labels.take().unwrap_or_default();
    labels.remove(HASH_LABEL);
    metadata.labels = Some(labels);
    metadata.annotations = metadata.annotations.filter(|annotations| !annotations.is_empty());
    // `null` and absent are the same time.
    metadata.creation_timestamp = None;
    PodTemplateSpec { metadata: Some(metadata), spec: None }
}
