use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Serialize};

use crate::pods::{available_in, is_ready};
use crate::replicas::owner::ReplicaOwner;

const FAILURE: &str = "ReplicaFailure";

/// The status that ReplicaSets and ReplicationControllers have in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Status {
    pub(crate) replicas: i32,
    pub(crate) fully_labeled_replicas: i32,
    pub(crate) ready_replicas: i32,
    pub(crate) available_replicas: i32,
    pub(crate) observed_generation: Option<i64>,
    pub(crate) conditions: Vec<Condition>,
}

/// A condition of that status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Condition {
    #[serde(rename = "type")]
    pub(crate) type_: String,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) reason: String,
    #[serde(default)]
    pub(crate) message: String,
    pub(crate) last_transition_time: Option<Time>,
}

/// Why the last run could not do all it wanted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// What is true of the owner's active Pods now.
pub(crate) fn status<O: ReplicaOwner>(
    owner: &O,
    pods: &[Arc<Pod>],
    failure: Option<&Failure>,
    now: Timestamp,
) -> Status {
    let wanted = owner.template().and_then(|template| template.metadata.as_ref()?.labels.clone()).unwrap_or_default();
    let is_labeled = |pod: &&Arc<Pod>| {
        let labels = pod.metadata.labels.as_ref();
        wanted.iter().all(|(name, value)| labels.is_some_and(|labels| labels.get(name) == Some(value)))
    };
    let is_available =
        |pod: &&Arc<Pod>| available_in(pod, owner.min_ready_seconds(), now).is_some_and(|wait| wait.is_zero());
    Status {
        replicas: count(pods.len()),
        fully_labeled_replicas: count(pods.iter().filter(is_labeled).count()),
        ready_replicas: count(pods.iter().filter(|pod| is_ready(pod)).count()),
        available_replicas: count(pods.iter().filter(is_available).count()),
        observed_generation: owner.meta().generation,
        conditions: conditions(owner.status().conditions, failure, now),
    }
}

fn conditions(mut conditions: Vec<Condition>, failure: Option<&Failure>, now: Timestamp) -> Vec<Condition> {
    let Some(failure) = failure else {
        conditions.retain(|condition| condition.type_ != FAILURE);
        return conditions;
    };
    if !conditions.iter().any(|condition| condition.type_ == FAILURE) {
        conditions.push(Condition {
            type_: FAILURE.into(),
            status: "True".into(),
            reason: failure.reason.into(),
            message: failure.message.clone(),
            last_transition_time: Some(Time(now)),
        });
    }
    conditions
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
