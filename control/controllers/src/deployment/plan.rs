//! Pure: a Deployment and its sets go in, the next step and the new status come out.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use crate::claim::controller_reference;
use crate::deployment::hash::template_hash;
use crate::deployment::limits::{Limits, is_recreate};
use crate::deployment::revision::{
    DESIRED, MOST, REVISION, expired, first_annotations, missing_annotations, next_revision, revision_of,
    size_annotations,
};
use crate::deployment::rolling::{Resize, new_size, shrink_old};
use crate::deployment::scaling::{is_scaling, scale};
use crate::deployment::sets::{HASH_LABEL, Sets, annotation, replicas};
use crate::deployment::status::{
    PROGRESSING, check_again, condition, counted, is_complete, judge, new_condition, note_pause, set_condition,
};

/// What is known of one Deployment.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    pub(crate) deployment: Arc<Deployment>,
    /// The ReplicaSets that it controls.
    pub(crate) sets: Vec<Arc<ReplicaSet>>,
    /// The uids of those that have Pods whose containers may still run.
    pub(crate) running: HashSet<String>,
}

/// One step.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) actions: Vec<Action>,
    pub(crate) status: DeploymentStatus,
    /// Look again after this time, whatever happens.
    pub(crate) look_again: Option<Duration>,
}

/// One write.
#[derive(Debug)]
pub(crate) enum Action {
    /// Create the set for the present template.
    Create(Box<ReplicaSet>),
    /// Bring the new set up to date.
    Update { set: Arc<ReplicaSet>, annotations: BTreeMap<String, String>, min_ready_seconds: Option<i32> },
    /// Tell a set another size, and the Deployment's.
    Resize { set: Arc<ReplicaSet>, replicas: i32, annotations: BTreeMap<String, String> },
    /// Forget an old revision.
    Delete(Arc<ReplicaSet>),
    /// Write the present revision on the Deployment.
    SetRevision(String),
}

/// Plans one step.
pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Plan {
    let deployment = observed.deployment.as_ref();
    let sets = Sets::of(deployment, observed.sets.clone());
    let mut old = deployment.status.clone().unwrap_or_default();
    if deployment.metadata.deletion_timestamp.is_some() {
        return Plan { actions: Vec::new(), status: counted(deployment, &old, &sets, now), look_again: None };
    }
    note_pause(deployment, &mut old, now);
    let mut actions = keep_history(deployment, &sets, &mut old, now);
    let limits = Limits::of(deployment);
    let is_paused = deployment.spec.paused.unwrap_or(false);
    if is_paused || is_scaling(limits, &sets) {
        actions.extend(resizes(scale(deployment, limits, &sets), limits));
        if is_paused {
            actions.extend(expired(deployment, &sets).into_iter().map(Action::Delete));
        }
        return Plan { actions, status: counted(deployment, &old, &sets, now), look_again: None };
    }
    actions.extend(roll_out(observed, limits, &sets, &mut old, now));
    let mut status = counted(deployment, &old, &sets, now);
    judge(deployment, &old, &mut status, &sets, now);
    let look_again = check_again(deployment, &status, now);
    Plan { actions, status, look_again }
}

/// Keeps the new set's annotations and the Deployment's revision right.
fn keep_history(deployment: &Deployment, sets: &Sets, status: &mut DeploymentStatus, now: Timestamp) -> Vec<Action> {
    let Some(new) = &sets.new else { return Vec::new() };
    let mut actions = Vec::new();
    let next = next_revision(sets);
    let annotations = missing_annotations(deployment, new, next);
    let wanted = deployment.spec.min_ready_seconds.unwrap_or(0);
    let min_ready_seconds = (new.spec.min_ready_seconds.unwrap_or(0) != wanted).then_some(wanted);
    if !annotations.is_empty() || min_ready_seconds.is_some() {
        actions.push(Action::Update { set: new.clone(), annotations, min_ready_seconds });
    }
    let revision = revision_of(new).max(next).to_string();
    if deployment.annotations().get(REVISION) != Some(&revision) {
        actions.push(Action::SetRevision(revision));
    }
    if deployment.spec.progress_deadline_seconds.is_some() && condition(status, PROGRESSING).is_none() {
        let message = format!("Found new replica set \"{}\"", new.name_any());
        set_condition(status, new_condition(PROGRESSING, "True", "FoundNewReplicaSet", message, now));
    }
    actions
}

/// The next step from the old sets to the new one.
fn roll_out(
    observed: &Observed,
    limits: Limits,
    sets: &Sets,
    status: &mut DeploymentStatus,
    now: Timestamp,
) -> Vec<Action> {
    let deployment = observed.deployment.as_ref();
    if is_recreate(deployment) {
        let down: Vec<Resize> = sets.active_old().map(|set| (set.clone(), 0)).collect();
        if !down.is_empty() {
            return resizes(down, limits);
        }
        if sets.old.iter().any(|set| observed.running.contains(&set.uid().unwrap_or_default())) {
            return Vec::new();
        }
    }
    let size = if is_recreate(deployment) { limits.replicas } else { new_size(limits, sets) };
    let Some(new) = &sets.new else {
        let set = new_set(deployment, sets, size);
        let message = format!("Created new replica set \"{}\"", set.name_any());
        if deployment.spec.progress_deadline_seconds.is_some() {
            set_condition(status, new_condition(PROGRESSING, "True", "NewReplicaSetCreated", message, now));
        }
        return vec![Action::Create(Box::new(set))];
    };
    if size != replicas(new) {
        return resizes(vec![(new.clone(), size)], limits);
    }
    let down = shrink_old(limits, sets);
    if down.is_empty() && is_complete(deployment, &deployment.status.clone().unwrap_or_default()) {
        return expired(deployment, sets).into_iter().map(Action::Delete).collect();
    }
    resizes(down, limits)
}

/// Those of the sizes that change anything.
fn resizes(sizes: Vec<Resize>, limits: Limits) -> Vec<Action> {
    let wanted = size_annotations(limits);
    let is_news = |set: &ReplicaSet, size: i32| {
        replicas(set) != size
            || [DESIRED, MOST].iter().any(|name| annotation(set, name) != wanted.get(*name).map(String::as_str))
    };
    sizes
        .into_iter()
        .filter(|(set, size)| is_news(set, *size))
        .map(|(set, replicas)| Action::Resize { set, replicas, annotations: wanted.clone() })
        .collect()
}

/// The set for the Deployment's present template.
fn new_set(deployment: &Deployment, sets: &Sets, size: i32) -> ReplicaSet {
    let collisions = deployment.status.as_ref().and_then(|status| status.collision_count).unwrap_or(0);
    let hash = template_hash(&deployment.spec.template, collisions);
    let mut template = deployment.spec.template.clone();
    let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
    labels.insert(HASH_LABEL.into(), hash.clone());
    let labels = labels.clone();
    let mut selector = deployment.spec.selector.clone();
    selector.match_labels.get_or_insert_default().insert(HASH_LABEL.into(), hash.clone());
    ReplicaSet {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", deployment.name_any())),
            namespace: deployment.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: Some(first_annotations(deployment, next_revision(sets))),
            owner_references: Some(vec![controller_reference(deployment)]),
            ..ObjectMeta::default()
        },
        spec: ReplicaSetSpec {
            replicas: Some(size),
            min_ready_seconds: deployment.spec.min_ready_seconds,
            selector,
            template: Some(template),
        },
        status: None,
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "simulation.rs"]
mod simulation;
