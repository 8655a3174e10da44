//! What to do next for a Pod.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::doom::Doom;
use super::ending;
use super::observed::{ContainerView, Observed, PostStart, Running, State, StopReason, Volumes};
use super::phase::{Init, initialized, outcome};
use super::resize;
use super::restart::restarts;
use super::slot::{Role, Slot};
use super::spec::PodExt;
use crate::clock::after;

/// A thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    AssignIp,
    /// Set its volumes up.
    Mount,
    /// Remember that the init containers have done their part.
    Initialized,
    /// End the Pod.
    Doom(Doom),
    /// Remember that it is to end by that moment.
    End(Timestamp),
    /// Give the containers what the Pod wishes by now, or find out why not.
    Resize,
    Start(Slot),
    /// Forget a start that is under way.
    Abandon(Slot),
    /// Run its preStop hook, until that moment at most.
    PreStop {
        slot: Slot,
        until: Timestamp,
        why: StopReason,
    },
    /// Tell it to end, and end it at that moment.
    Stop {
        slot: Slot,
        until: Timestamp,
        why: StopReason,
    },
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
        ending::stop_all(&mut plan, pod, observed, until, now);
        return plan;
    }
    let deadline = observed.started_at.zip(pod.active_deadline()).map(|(start, most)| after(start, most));
    if let Some(deadline) = deadline {
        plan.at(deadline, now, Action::Doom(Doom::DeadlineExceeded));
    }
    if observed.ip.is_none() {
        plan.at(observed.ip_retry_at.unwrap_or(now), now, Action::AssignIp);
        return plan;
    }
    if observed.volumes != Volumes::Mounted && pod.mounts_any() {
        if observed.volumes == Volumes::Absent {
            plan.actions.push(Action::Mount);
        }
        return plan;
    }
    resize::plan(&mut plan, pod, observed, now);
    let of_role = |role: Role| (0..observed.containers.len()).map(Slot).filter(move |slot| pod.role(*slot) == role);
    of_role(Role::Ephemeral).for_each(|slot| plan.advance(pod, observed, slot, now));
    match initialized(pod, observed) {
        Init::Going(current) => {
            let sidecars = of_role(Role::Sidecar).filter(|slot| *slot < current);
            sidecars.chain([current]).for_each(|slot| plan.advance(pod, observed, slot, now));
        }
        Init::Done if !observed.initialized && pod.init_count() > 0 => plan.actions.push(Action::Initialized),
        Init::Done => {
            of_role(Role::Sidecar).for_each(|slot| plan.advance(pod, observed, slot, now));
            plan.advance_main(pod, observed, of_role(Role::Main), now);
        }
        // That is an end, which was dealt with.
        Init::Failed => {}
    }
    plan
}

/// Until when the Pod may go on, if it is to end.
fn end(pod: &Pod, observed: &Observed, now: Timestamp) -> Option<Timestamp> {
    let until = match pod.deletion() {
        _ if observed.gone => now,
        Some(deletion) => deletion.max(now),
        None => outcome(pod, observed).map(|_| after(now, grace(pod, observed)))?,
    };
    Some(observed.ending.map_or(until, |before| before.min(until)))
}

/// What is evicted has a moment, whatever it asks for.
fn grace(pod: &Pod, observed: &Observed) -> Duration {
    let most = observed.doom.as_ref().and_then(Doom::most_grace).unwrap_or(Duration::MAX);
    pod.grace().min(most)
}

impl Plan {
    /// In order: each is started once the one before it was, or has failed to.
    fn advance_main(&mut self, pod: &Pod, observed: &Observed, main: impl Iterator<Item = Slot>, now: Timestamp) {
        for slot in main {
            self.advance(pod, observed, slot, now);
            let view = &observed.containers[slot.0];
            if self.actions.contains(&Action::Start(slot)) || (view.is_alive() && !view.has_begun()) {
                break;
            }
        }
    }

    fn advance(&mut self, pod: &Pod, observed: &Observed, slot: Slot, now: Timestamp) {
        let view = &observed.containers[slot.0];
        match &view.state {
            State::Starting => {}
            State::Waiting(None) => self.actions.push(Action::Start(slot)),
            State::Waiting(Some(waiting)) => self.at(waiting.retry_at, now, Action::Start(slot)),
            State::Terminated(run) if restarts(pod, slot, run) => {
                self.at(view.next_try(run), now, Action::Start(slot));
            }
            State::Terminated(_) => {}
            State::Running(running) => self.check(pod, slot, running, now),
        }
    }

    fn check(&mut self, pod: &Pod, slot: Slot, running: &Running, now: Timestamp) {
        if let Some(stopping) = running.stopping {
            ending::go_on(self, slot, &stopping, true, now);
        } else if matches!(running.post_start, PostStart::Failed(_)) {
            ending::begin(self, pod, slot, after(now, pod.grace()), StopReason::PostStartFailed, now);
        } else if let Some(failed) = running.probes.must_restart() {
            let until = after(now, pod.grace_after(slot, failed));
            ending::begin(self, pod, slot, until, StopReason::Unhealthy(failed), now);
        } else if pod.container(slot).and_then(|container| container.image.clone()).as_ref() != Some(&running.image) {
            ending::begin(self, pod, slot, after(now, pod.grace()), StopReason::ImageChanged, now);
        } else if running.must_restart {
            ending::begin(self, pod, slot, after(now, pod.grace()), StopReason::Resized, now);
        }
    }

    /// Does it if the moment has come; otherwise looks again then.
    pub(super) fn at(&mut self, moment: Timestamp, now: Timestamp, action: Action) {
        if moment <= now {
            self.actions.push(action);
        } else {
            self.wake_at(moment);
        }
    }

    pub(super) fn wake_at(&mut self, moment: Timestamp) {
        self.wake = Some(self.wake.map_or(moment, |wake| wake.min(moment)));
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
    let waits = restarts(pod, slot, run) && view.crashes.until(run.finished_at) > now;
    waits.then(|| view.crashes.delay(run.finished_at))
}
