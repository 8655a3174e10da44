//! How far a Pod has come.

use k8s_openapi::api::core::v1::Pod;

use super::observed::{ContainerView, Ended, Observed, Running, State};
use super::restart::restarts;
use super::slot::{Role, Slot};
use super::spec::PodExt;

/// A Pod's phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

impl Phase {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Phase::Pending => "Pending",
            Phase::Running => "Running",
            Phase::Succeeded => "Succeeded",
            Phase::Failed => "Failed",
        }
    }

    /// Whether it has ended for good.
    pub(crate) fn is_terminal(self) -> bool {
        matches!(self, Phase::Succeeded | Phase::Failed)
    }
}

/// The phase, by the kubelet's rules: a Pod has ended once nothing of it runs any more.
pub(crate) fn phase(pod: &Pod, observed: &Observed) -> Phase {
    match outcome(pod, observed) {
        Some(Ended::Succeeded) if !observed.is_alive() => Phase::Succeeded,
        Some(Ended::Failed) if !observed.is_alive() => Phase::Failed,
        _ if initialized(pod, observed) != Init::Done => Phase::Pending,
        _ if main(pod, observed).any(|(_, view)| has_not_run(view)) => Phase::Pending,
        _ => Phase::Running,
    }
}

/// How it ends, if it is to end: its main containers are done, or its start has failed, or somebody wants it.
///
/// Neither sidecars nor ephemeral containers keep it from ending.
pub(crate) fn outcome(pod: &Pod, observed: &Observed) -> Option<Ended> {
    if observed.ended.is_some() {
        return observed.ended;
    }
    if observed.doom.is_some() || initialized(pod, observed) == Init::Failed {
        return Some(Ended::Failed);
    }
    let succeeded = main(pod, observed).all(|(_, view)| view.exit_code() == Some(0));
    let over = pod.deletion().is_some() || !main(pod, observed).any(|(slot, view)| goes_on(pod, slot, view));
    over.then_some(if succeeded { Ended::Succeeded } else { Ended::Failed })
}

/// How far the init containers have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Init {
    /// It is this one's turn.
    Going(Slot),
    Done,
    Failed,
}

/// How far the init containers have come: what began last is decisive, since a sidecar before it may have to be started
/// again without holding up what follows.
pub(crate) fn initialized(pod: &Pod, observed: &Observed) -> Init {
    let init = &observed.containers[..pod.init_count().min(observed.containers.len())];
    if observed.initialized || init.is_empty() {
        return Init::Done;
    }
    let frontier = init.iter().rposition(|view| view.state != State::Waiting(None)).unwrap_or(0);
    let mut rest = (frontier..init.len()).map(Slot);
    rest.find_map(|slot| held_up(pod, slot, &init[slot.0])).unwrap_or(Init::Done)
}

/// What an init container says of the Pod that has not done its part.
fn held_up(pod: &Pod, slot: Slot, view: &ContainerView) -> Option<Init> {
    match (pod.role(slot), view.ended()) {
        (Role::Sidecar, _) if view.has_started() => None,
        (Role::Init, Some(run)) if run.exit_code == 0 => None,
        (Role::Init, Some(run)) if !restarts(pod, slot, run) => Some(Init::Failed),
        _ => Some(Init::Going(slot)),
    }
}

fn main<'a>(pod: &Pod, observed: &'a Observed) -> impl Iterator<Item = (Slot, &'a ContainerView)> {
    let slots = (pod.init_count()..pod.lasting_count()).map(Slot);
    slots.filter_map(|slot| Some((slot, observed.get(slot)?)))
}

/// It waits for its first run.
fn has_not_run(view: &ContainerView) -> bool {
    let waits = matches!(view.state, State::Waiting(_) | State::Starting);
    let begins = view.running().is_some_and(Running::is_beginning);
    (waits || begins) && view.last.is_none()
}

/// It runs, or will.
fn goes_on(pod: &Pod, slot: Slot, view: &ContainerView) -> bool {
    view.ended().is_none_or(|run| restarts(pod, slot, run))
}
