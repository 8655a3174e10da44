//! How it goes: counts, and the conditions Available, Progressing and ReplicaFailure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use crate::deployment::limits::Limits;
use crate::deployment::sets::{Sets, actual};

pub(crate) const PROGRESSING: &str = "Progressing";
const AVAILABLE: &str = "Available";
const FAILURE: &str = "ReplicaFailure";
const COMPLETE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";
const PAUSED: &str = "DeploymentPaused";

pub(crate) fn condition<'a>(status: &'a DeploymentStatus, type_: &str) -> Option<&'a DeploymentCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_.as_deref() == Some(type_))
}

pub(crate) fn new_condition(
    type_: &str,
    status: &str,
    reason: &str,
    message: String,
    now: Timestamp,
) -> DeploymentCondition {
    DeploymentCondition {
        type_: Some(type_.into()),
        status: Some(status.into()),
        reason: Some(reason.into()),
        message: Some(message),
        last_update_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    }
}

/// Puts the condition in, unless it says what is there already. The transition time is that of the status alone.
pub(crate) fn set_condition(status: &mut DeploymentStatus, mut new: DeploymentCondition) {
    if let Some(present) = condition(status, new.type_.as_deref().unwrap_or_default()) {
        if present.status == new.status && present.reason == new.reason {
            return;
        }
        if present.status == new.status {
            new.last_transition_time = present.last_transition_time.clone();
        }
    }
    remove_condition(status, new.type_.as_deref().unwrap_or_default());
    status.conditions.get_or_insert_default().push(new);
}

fn remove_condition(status: &mut DeploymentStatus, type_: &str) {
    status.conditions.get_or_insert_default().retain(|condition| condition.type_.as_deref() != Some(type_));
}

/// A pause and its end stand in Progressing, so that the time between is not held against the rollout.
pub(crate) fn note_pause(deployment: &Deployment, status: &mut DeploymentStatus, now: Timestamp) {
    let reason = condition(status, PROGRESSING).and_then(|condition| condition.reason.clone());
    if deadline(deployment).is_none() || reason.as_deref() == Some(TIMED_OUT) {
        return;
    }
    let was_paused = reason.as_deref() == Some(PAUSED);
    let is_paused = deployment.spec.paused.unwrap_or(false);
    let (reason, message) = match (is_paused, was_paused) {
        (true, false) => (PAUSED, "Deployment is paused"),
        (false, true) => ("DeploymentResumed", "Deployment is resumed"),
        _ => return,
    };
    set_condition(status, new_condition(PROGRESSING, "Unknown", reason, message.into(), now));
}

/// The counts and the condition Available; the other conditions stay as in `old`.
pub(crate) fn counted(
    deployment: &Deployment,
    old: &DeploymentStatus,
    sets: &Sets,
    now: Timestamp,
) -> DeploymentStatus {
    let (limits, available) = (Limits::of(deployment), sets.reported_available());
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: nonzero(sets.actual()),
        updated_replicas: nonzero(sets.new.as_ref().map_or(0, |set| actual(set))),
        ready_replicas: nonzero(sets.ready()),
        available_replicas: nonzero(available),
        unavailable_replicas: nonzero((sets.replicas() - available).max(0)),
        terminating_replicas: None,
        collision_count: old.collision_count,
        conditions: old.conditions.clone(),
    };
    let (value, reason, message) = match available >= limits.least_available() {
        true => ("True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        false => ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
    };
    set_condition(&mut status, new_condition(AVAILABLE, value, reason, message.into(), now));
    status
}

/// Judges the rollout: complete, getting on, or past its deadline; and passes on why Pods cannot be created.
pub(crate) fn judge(
    deployment: &Deployment,
    old: &DeploymentStatus,
    new: &mut DeploymentStatus,
    sets: &Sets,
    now: Timestamp,
) {
    match deadline(deployment) {
        None => remove_condition(new, PROGRESSING),
        Some(deadline) if !is_settled(old, new) => progress(deployment, deadline, old, new, sets, now),
        Some(_) => {}
    }
    match replica_failure(sets) {
        Some(failure) => set_condition(new, failure),
        None => remove_condition(new, FAILURE),
    }
}

/// Every Pod is a new one, all are available, and no old one is left.
pub(crate) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let replicas = nonzero(deployment.spec.replicas.unwrap_or(1));
    status.updated_replicas == replicas
        && status.replicas == replicas
        && status.available_replicas == replicas
        && status.observed_generation >= deployment.metadata.generation
}

/// When to look again whether the deadline has passed.
pub(crate) fn check_again(deployment: &Deployment, status: &DeploymentStatus, now: Timestamp) -> Option<Duration> {
    let deadline = deadline(deployment)?;
    let progressing = condition(status, PROGRESSING)?;
    if is_complete(deployment, status) || progressing.reason.as_deref() == Some(TIMED_OUT) {
        return None;
    }
    let left = progressing.last_update_time.as_ref()?.0 + deadline;
    // A second more, so that clocks' granularity does not make us look a moment too early.
    Some(Duration::try_from(left.duration_since(now)).unwrap_or_default() + Duration::from_secs(1))
}

fn is_settled(old: &DeploymentStatus, new: &DeploymentStatus) -> bool {
    let reason = condition(old, PROGRESSING).and_then(|condition| condition.reason.as_deref());
    new.replicas == new.updated_replicas && reason == Some(COMPLETE)
}

fn progress(
    deployment: &Deployment,
    deadline: SignedDuration,
    old: &DeploymentStatus,
    new: &mut DeploymentStatus,
    sets: &Sets,
    now: Timestamp,
) {
    let subject = match &sets.new {
        Some(set) => format!("ReplicaSet \"{}\"", set.name_any()),
        None => format!("Deployment \"{}\"", deployment.name_any()),
    };
    if is_complete(deployment, new) {
        let message = format!("{subject} has successfully progressed.");
        set_condition(new, new_condition(PROGRESSING, "True", COMPLETE, message, now));
    } else if gets_on(old, new) {
        let mut condition_ =
            new_condition(PROGRESSING, "True", "ReplicaSetUpdated", format!("{subject} is progressing."), now);
        if let Some(present) = condition(old, PROGRESSING).filter(|present| present.status.as_deref() == Some("True")) {
            condition_.last_transition_time = present.last_transition_time.clone();
        }
        // Even with the same reason: its update time is when there was progress last.
        remove_condition(new, PROGRESSING);
        set_condition(new, condition_);
    } else if is_late(old, deadline, now) {
        let message = format!("{subject} has timed out progressing.");
        set_condition(new, new_condition(PROGRESSING, "False", TIMED_OUT, message, now));
    }
}

fn gets_on(old: &DeploymentStatus, new: &DeploymentStatus) -> bool {
    let value = |value: Option<i32>| value.unwrap_or(0);
    let outdated = |status: &DeploymentStatus| value(status.replicas) - value(status.updated_replicas);
    value(new.updated_replicas) > value(old.updated_replicas)
        || outdated(new) < outdated(old)
        || value(new.ready_replicas) > value(old.ready_replicas)
        || value(new.available_replicas) > value(old.available_replicas)
}

fn is_late(old: &DeploymentStatus, deadline: SignedDuration, now: Timestamp) -> bool {
    let Some(progressing) = condition(old, PROGRESSING) else { return false };
    match progressing.reason.as_deref() {
        Some(COMPLETE) => false,
        Some(TIMED_OUT) => true,
        _ => progressing.last_update_time.as_ref().is_some_and(|time| time.0 + deadline < now),
    }
}

fn replica_failure(sets: &Sets) -> Option<DeploymentCondition> {
    let newest_first = sets.new.iter().chain(sets.old.iter());
    let mut conditions = newest_first.filter_map(|set| set.status.as_ref()?.conditions.as_ref()).flatten();
    let failure = conditions.find(|condition| condition.type_.as_deref() == Some(FAILURE))?;
    Some(DeploymentCondition {
        type_: Some(FAILURE.into()),
        status: failure.status.clone(),
        reason: failure.reason.clone(),
        message: failure.message.clone(),
        last_transition_time: failure.last_transition_time.clone(),
        last_update_time: failure.last_transition_time.clone(),
    })
}

fn deadline(deployment: &Deployment) -> Option<SignedDuration> {
    let seconds = deployment.spec.progress_deadline_seconds.filter(|seconds| *seconds != i32::MAX)?;
    Some(SignedDuration::from_secs(seconds.into()))
}

/// Zero counts are absent on the wire.
fn nonzero(number: i32) -> Option<i32> {
    Some(number).filter(|number| *number != 0)
}
