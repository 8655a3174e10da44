//! A Pod's conditions.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::pods::phase::Phase;
use crate::pods::resize::Unfulfilled;
use crate::pods::slot::{Role, Slot};
use crate::pods::spec::PodExt;

pub(super) struct Facts<'a> {
    pub(super) pod: &'a Pod,
    pub(super) has_ip: bool,
    pub(super) phase: Phase,
    pub(super) unfulfilled: Option<&'a Unfulfilled>,
    /// The init containers have done their part.
    pub(super) initialized: bool,
    /// Why this node has evicted it, if it has.
    pub(super) evicted: Option<&'a str>,
    pub(super) init: &'a [ContainerStatus],
    pub(super) main: &'a [ContainerStatus],
}

/// Whether it holds; if not, why not.
type Holds = Result<Option<&'static str>, (&'static str, Option<String>)>;

/// The conditions that the kubelet owns. Those of others stay as they are: the patch merges them by type.
pub(super) fn conditions(facts: &Facts, previous: &PodStatus, now: Timestamp) -> Vec<PodCondition> {
    let containers_ready = containers_ready(facts);
    let ready = containers_ready.clone().and_then(|reason| gates(facts.pod, previous).map(|_| reason));
    let sandbox = if facts.has_ip && !facts.phase.is_terminal() { Ok(None) } else { Err(("", None)) };
    [
        ("PodReadyToStartContainers", sandbox),
        ("Initialized", initialized(facts)),
        ("Ready", ready),
        ("ContainersReady", containers_ready),
        ("PodScheduled", Ok(None)),
    ]
    .into_iter()
    .map(|(type_, holds)| condition(type_, holds, facts.pod, previous, now))
    .chain(facts.unfulfilled.map(|unfulfilled| resize(unfulfilled, facts.pod, previous, now)))
    .chain(disruption(facts, previous, now))
    .collect()
}

/// Tells controllers that it was not the Pod's own failure.
fn disruption(facts: &Facts, previous: &PodStatus, now: Timestamp) -> Option<PodCondition> {
    let why = facts.evicted?;
    let holds = Ok(Some("TerminationByKubelet"));
    let condition = condition("DisruptionTarget", holds, facts.pod, previous, now);
    Some(PodCondition { message: Some(why.to_owned()), ..condition })
}

/// What keeps a wish for other resources from being fulfilled; it is there only as long as something does.
fn resize(unfulfilled: &Unfulfilled, pod: &Pod, previous: &PodStatus, now: Timestamp) -> PodCondition {
    let (type_, reason) = unfulfilled.why.condition();
    PodCondition {
        reason: Some(reason.to_owned()),
        message: Some(unfulfilled.message.clone()),
        ..condition(type_, Ok(None), pod, previous, now)
    }
}

fn initialized(facts: &Facts) -> Holds {
    if facts.phase == Phase::Succeeded {
        return Ok(Some("PodCompleted"));
    }
    let incomplete = facts.init.iter().enumerate().filter(|(n, status)| match facts.pod.role(Slot(*n)) {
        Role::Sidecar => status.started != Some(true),
        _ => !status.ready,
    });
    match names(incomplete.map(|(_, status)| status)) {
        Some(names) if !facts.initialized => {
            Err(("ContainersNotInitialized", Some(format!("containers with incomplete status: {names}"))))
        }
        _ => Ok(None),
    }
}

fn containers_ready(facts: &Facts) -> Holds {
    match facts.phase {
        Phase::Succeeded => return Err(("PodCompleted", None)),
        Phase::Failed => return Err(("PodFailed", None)),
        Phase::Pending | Phase::Running => {}
    }
    let sidecars = facts.init.iter().enumerate().filter(|(n, _)| facts.pod.role(Slot(*n)) == Role::Sidecar);
    let lasting = sidecars.map(|(_, status)| status).chain(facts.main);
    match names(lasting.filter(|status| !status.ready)) {
        Some(names) => Err(("ContainersNotReady", Some(format!("containers with unready status: {names}")))),
        None => Ok(None),
    }
}

/// Readiness gates: conditions that others set.
fn gates(pod: &Pod, previous: &PodStatus) -> Holds {
    let gates = pod.spec().and_then(|spec| spec.readiness_gates.as_deref()).unwrap_or_default();
    let current = pod.status.as_ref().unwrap_or(previous).conditions.as_deref().unwrap_or_default();
    let closed: Vec<String> = gates.iter().filter_map(|gate| closed(&gate.condition_type, current)).collect();
    if closed.is_empty() { Ok(None) } else { Err(("ReadinessGatesNotReady", Some(closed.join(", ")))) }
}

/// Why a gate is closed, if it is.
fn closed(gate: &str, conditions: &[PodCondition]) -> Option<String> {
    match conditions.iter().find(|condition| condition.type_ == gate) {
        Some(condition) if condition.status == "True" => None,
        Some(condition) => {
            Some(format!("the status of pod readiness gate {gate:?} is not \"True\", but {}", condition.status))
        }
        None => Some(format!("corresponding condition of pod readiness gate {gate:?} does not exist.")),
    }
}

/// The containers' names in Go's way, `[a b]`, or `None` if there are none.
fn names<'a>(statuses: impl Iterator<Item = &'a ContainerStatus>) -> Option<String> {
    let names: Vec<_> = statuses.map(|status| status.name.as_str()).collect();
    (!names.is_empty()).then(|| format!("[{}]", names.join(" ")))
}

fn condition(type_: &str, holds: Holds, pod: &Pod, previous: &PodStatus, now: Timestamp) -> PodCondition {
    let (status, reason, message) = match holds {
        Ok(reason) => ("True", reason, None),
        Err((reason, message)) => ("False", Some(reason).filter(|reason| !reason.is_empty()), message),
    };
    let before = previous.conditions.iter().flatten().find(|condition| condition.type_ == type_);
    let unchanged =
        before.filter(|before| before.status == status).and_then(|before| before.last_transition_time.clone());
    PodCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.map(str::to_owned),
        message,
        last_probe_time: None,
        last_transition_time: Some(unchanged.unwrap_or(Time(now))),
        observed_generation: pod.metadata.generation,
    }
}
