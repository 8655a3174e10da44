//! What to do next for a Pod.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::observed::{ContainerView, Observed, Running, State};
use super::phase::{Init, initialized, phase};
use super::spec::{PodExt, Slot};
use crate::clock::after;

/// A thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    AssignIp,
    Start(Slot),
    /// Forget a start that is under way.
    Abandon(Slot),
    /// Tell it to end, and end it at that moment.
    Stop {
        slot: Slot,
        until: Timestamp,
        why: StopReason,
    },
}

/// Why a container is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// Its Pod is deleted, or has ended.
    PodEnds,
    /// It does not answer its liveness or startup probe.
    Unhealthy,
    /// Its image was changed in the spec.
    ImageChanged,
}

/// What to do now, and when to look again if nothing happens before.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) actions: Vec<Action>,
    pub(crate) wake: Option<Timestamp>,
}

/// Decides from the Pod and what is known of it, and from nothing else.
pub(crate) fn plan(pod: &Pod, observed: &Observed, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    if let Some(until) = end(pod, observed, now) {
        plan.stop_all(observed, until);
        return plan;
    }
    if observed.ip.is_none() {
        plan.at(observed.ip_retry_at.unwrap_or(now), now, Action::AssignIp);
        return plan;
    }
    let init_count = pod.init_count();
    let (init, _) = observed.containers.split_at(init_count.min(observed.containers.len()));
    if initialized(pod, init) == Init::Going {
        let current = init.iter().position(|view| view.exit_code() != Some(0)).unwrap_or(0);
        plan.advance(pod, observed, Slot(current), now);
        return plan;
    }
    for slot in (init_count..observed.containers.len()).map(Slot) {
        plan.advance(pod, observed, slot, now);
        // In order: the next one is started once this one was.
        if plan.starts(slot) || matches!(observed.containers[slot.0].state, State::Starting) {
            break;
        }
    }
    plan
}

/// Until when the Pod may go on, if it is to end.
fn end(pod: &Pod, observed: &Observed, now: Timestamp) -> Option<Timestamp> {
    if observed.gone {
        return Some(now);
    }
    if let Some(deletion) = pod.deletion() {
        return Some(deletion.max(now));
    }
    phase(pod, observed).is_terminal().then(|| after(now, pod.grace()))
}

impl Plan {
    fn stop_all(&mut self, observed: &Observed, until: Timestamp) {
        for (n, view) in observed.containers.iter().enumerate() {
            match &view.state {
                State::Starting => self.actions.push(Action::Abandon(Slot(n))),
                State::Running(running) => self.stop(Slot(n), running, until, StopReason::PodEnds),
                State::Waiting(_) | State::Terminated(_) => {}
            }
        }
    }

    /// Stops it once; again only to give it less time than before.
    fn stop(&mut self, slot: Slot, running: &Running, until: Timestamp, why: StopReason) {
        if running.stopping.is_none_or(|before| until < before) {
            self.actions.push(Action::Stop { slot, until, why });
        }
    }

    fn advance(&mut self, pod: &Pod, observed: &Observed, slot: Slot, now: Timestamp) {
        let view = &observed.containers[slot.0];
        match &view.state {
            State::Starting => {}
            State::Waiting(None) => self.actions.push(Action::Start(slot)),
            State::Waiting(Some(waiting)) => self.at(waiting.retry_at, now, Action::Start(slot)),
            State::Terminated(run) if pod.restart_policy(slot).restarts(run.exit_code) => {
                self.at(view.crashes.until(run.finished_at), now, Action::Start(slot));
            }
            State::Terminated(_) => {}
            State::Running(running) => self.check(pod, slot, running, now),
        }
    }

    fn check(&mut self, pod: &Pod, slot: Slot, running: &Running, now: Timestamp) {
        if running.stopping.is_some() {
            return;
        }
        let until = after(now, pod.grace());
        if running.probes.must_restart() {
            self.stop(slot, running, until, StopReason::Unhealthy);
        } else if pod.container(slot).and_then(|container| container.image.as_ref()) != Some(&running.image) {
            self.stop(slot, running, until, StopReason::ImageChanged);
        }
    }

    /// Does it if the moment has come; otherwise looks again then.
    fn at(&mut self, moment: Timestamp, now: Timestamp, action: Action) {
        if moment <= now {
            self.actions.push(action);
        } else {
            self.wake = Some(self.wake.map_or(moment, |wake| wake.min(moment)));
        }
    }

    fn starts(&self, slot: Slot) -> bool {
        self.actions.contains(&Action::Start(slot))
    }
}

/// Whether the container waits for the end of a crash back-off now, and how long it is.
pub(crate) fn crash_backoff(
    pod: &Pod,
    slot: Slot,
    view: &ContainerView,
    now: Timestamp,
) -> Option<std::time::Duration> {
    let State::Terminated(run) = &view.state else { return None };
    let waits = pod.restart_policy(slot).restarts(run.exit_code) && view.crashes.until(run.finished_at) > now;
    waits.then(|| view.crashes.delay(run.finished_at))
}
