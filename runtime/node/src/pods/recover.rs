//! What a starting node knows of a Pod: what was last reported of it.
//!
//! No container outlives the node's process, so what was running has ended: as a kubelet finds it after a reboot.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodStatus};

use super::observed::{ContainerView, Ended, Observed, State, Terminated};
use super::restart::restarts;
use super::slot::Slot;
use super::spec::PodExt;

/// Exit code and reason of a container whose end nobody saw.
const UNKNOWN: (i32, &str) = (255, "Unknown");

/// What is known of the Pod as this node takes it up.
pub(crate) fn observed(pod: &Pod, now: Timestamp) -> Observed {
    let status = pod.status.as_ref();
    let ended = match status.and_then(|status| status.phase.as_deref()) {
        Some("Succeeded") => Some(Ended::Succeeded),
        Some("Failed") => Some(Ended::Failed),
        _ => None,
    };
    let started_at = status.and_then(|status| status.start_time.as_ref()).map_or(now, |time| time.0);
    let mut containers: Vec<_> = pod
        .containers()
        .map(|container| find(status, &container.name).map_or_else(ContainerView::default, |status| view(status, now)))
        .collect();
    if ended.is_none() {
        begin_anew(pod, &mut containers);
    }
    Observed { started_at: Some(started_at), containers, ended, ..Observed::default() }
}

/// What its containers shared is gone with them, so the init containers do their part again, unless one must not.
fn begin_anew(pod: &Pod, containers: &mut [ContainerView]) {
    let init = (0..pod.init_count().min(containers.len())).map(Slot);
    let failed =
        |slot: Slot| containers[slot.0].ended().is_some_and(|run| run.exit_code != 0 && !restarts(pod, slot, run));
    if init.clone().any(failed) {
        return;
    }
    for slot in init {
        let view = &mut containers[slot.0];
        if let State::Terminated(run) = std::mem::take(&mut view.state) {
            view.last = Some(run);
        }
    }
}

fn find<'a>(status: Option<&'a PodStatus>, name: &str) -> Option<&'a ContainerStatus> {
    let status = status?;
    let lists = [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses];
    lists.into_iter().flatten().flatten().find(|container| container.name == name)
}

fn view(status: &ContainerStatus, now: Timestamp) -> ContainerView {
    let id = status.container_id.clone().unwrap_or_default();
    let last = status.last_state.as_ref().and_then(|state| ended(state, now));
    let state = status.state.as_ref().and_then(|state| lost(state, &id, now).or_else(|| ended(state, now)));
    ContainerView {
        state: state.map_or_else(State::default, State::Terminated),
        last,
        restarts: status.restart_count,
        image_id: status.image_id.clone(),
        allocated: status.resources.clone(),
        ..ContainerView::default()
    }
}

/// A container that ran when it was last reported.
fn lost(state: &ContainerState, id: &str, now: Timestamp) -> Option<Terminated> {
    let running = state.running.as_ref()?;
    Some(Terminated {
        id: id.to_owned(),
        exit_code: UNKNOWN.0,
        reason: UNKNOWN.1.to_owned(),
        message: Some("The node was restarted while the container ran".to_owned()),
        started_at: running.started_at.as_ref().map(|time| time.0),
        finished_at: now,
        stopped: None,
        post_start_error: None,
    })
}

fn ended(state: &ContainerState, now: Timestamp) -> Option<Terminated> {
    let ContainerStateTerminated { container_id, exit_code, reason, message, started_at, finished_at, .. } =
        state.terminated.clone()?;
    Some(Terminated {
        id: container_id.unwrap_or_default(),
        exit_code,
        reason: reason.unwrap_or_default(),
        message,
        started_at: started_at.map(|time| time.0),
        finished_at: finished_at.map_or(now, |time| time.0),
        stopped: None,
        post_start_error: None,
    })
}
