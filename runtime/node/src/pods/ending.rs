//! How containers are ended: the preStop hook first, then, in turn, the word to end, and the end by force at the last moment.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::observed::{ContainerView, Observed, Running, State, StopReason, StopStep, Stopping};
use super::plan::{Action, Plan};
use super::slot::{Role, Slot};
use super::spec::PodExt;
use crate::clock::after;

/// What a container has at least to end in, however long its preStop hook took.
const LEAST: Duration = Duration::from_secs(2);

/// Ends a whole Pod by `until`: sidecars after the main containers, the last one first.
pub(super) fn stop_all(plan: &mut Plan, pod: &Pod, observed: &Observed, until: Timestamp, now: Timestamp) {
    if observed.is_alive() && observed.ending != Some(until) {
        plan.actions.push(Action::End(until));
        return;
    }
    for (n, view) in observed.containers.iter().enumerate() {
        let slot = Slot(n);
        match &view.state {
            State::Starting => plan.actions.push(Action::Abandon(slot)),
            State::Running(running) if observed.gone => stop_at_once(plan, slot, running, now),
            State::Running(running) => stop(plan, pod, slot, running, has_turn(pod, observed, slot), until, now),
            State::Waiting(_) | State::Terminated(_) => {}
        }
    }
}

fn stop(plan: &mut Plan, pod: &Pod, slot: Slot, running: &Running, turn: bool, until: Timestamp, now: Timestamp) {
    match running.stopping {
        Some(stopping) if until < stopping.until => {
            hurry(plan, slot, &Stopping { until, ..stopping }, turn, now);
        }
        Some(stopping) => go_on(plan, slot, &stopping, turn, now),
        None if turn || until <= now || pod.has_pre_stop(slot) => {
            begin(plan, pod, slot, until, StopReason::PodEnds, now);
        }
        None => plan.wake_at(until),
    }
}

/// It has less time than before.
fn hurry(plan: &mut Plan, slot: Slot, stopping: &Stopping, turn: bool, now: Timestamp) {
    let Stopping { until, why, .. } = *stopping;
    match stopping.step {
        StopStep::Told => plan.actions.push(Action::Stop { slot, until, why }),
        StopStep::PreStop | StopStep::PreStopped => go_on(plan, slot, stopping, turn, now),
    }
}

/// It has not been told before: its preStop hook comes first, if there is time for it.
pub(super) fn begin(plan: &mut Plan, pod: &Pod, slot: Slot, until: Timestamp, why: StopReason, now: Timestamp) {
    plan.actions.push(match until > now && pod.has_pre_stop(slot) {
        true => Action::PreStop { slot, until, why },
        false => Action::Stop { slot, until, why },
    });
}

/// The next step of an end that has begun, if it is time for it.
pub(super) fn go_on(plan: &mut Plan, slot: Slot, stopping: &Stopping, turn: bool, now: Timestamp) {
    let Stopping { until, why, step } = *stopping;
    let due = match step {
        StopStep::PreStop => until <= now,
        StopStep::PreStopped => turn || until <= now,
        StopStep::Told => return,
    };
    match due {
        true => plan.actions.push(Action::Stop { slot, until: until.max(after(now, LEAST)), why }),
        false => plan.wake_at(until),
    }
}

fn stop_at_once(plan: &mut Plan, slot: Slot, running: &Running, now: Timestamp) {
    let told = running.stopping.is_some_and(|stopping| stopping.step == StopStep::Told && stopping.until <= now);
    if !told {
        plan.actions.push(Action::Stop { slot, until: now, why: StopReason::PodEnds });
    }
}

/// A sidecar's turn to end comes when the main containers and the sidecars behind it have ended.
fn has_turn(pod: &Pod, observed: &Observed, slot: Slot) -> bool {
    let behind = |(n, view): (usize, &ContainerView)| {
        let other = Slot(n);
        other > slot && view.is_alive() && pod.role(other) != Role::Ephemeral
    };
    pod.role(slot) != Role::Sidecar || !observed.containers.iter().enumerate().any(behind)
}
