//! How far a Pod has come.

use k8s_openapi::api::core::v1::Pod;

use super::observed::{ContainerView, Ended, Observed, State};
use super::spec::{PodExt, RestartPolicy, Slot};

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

/// The phase, by the kubelet's rules.
pub(crate) fn phase(pod: &Pod, observed: &Observed) -> Phase {
    if let Some(ended) = observed.ended {
        return match ended {
            Ended::Succeeded => Phase::Succeeded,
            Ended::Failed => Phase::Failed,
        };
    }
    if pod.deletion().is_some() && !observed.is_alive() {
        return if all_succeeded(pod, observed) { Phase::Succeeded } else { Phase::Failed };
    }
    let (init, main) = observed.containers.split_at(pod.init_count().min(observed.containers.len()));
    match initialized(pod, init) {
        Init::Done => {}
        Init::Going => return Phase::Pending,
        Init::Failed => return Phase::Failed,
    }
    if main.iter().any(has_not_run) {
        return Phase::Pending;
    }
    if main.iter().any(|view| goes_on(pod, view)) {
        return Phase::Running;
    }
    if main.iter().all(|view| view.exit_code() == Some(0)) { Phase::Succeeded } else { Phase::Failed }
}

/// How far the init containers have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Init {
    Going,
    Done,
    Failed,
}

pub(crate) fn initialized(pod: &Pod, init: &[ContainerView]) -> Init {
    match init.iter().find(|view| view.exit_code() != Some(0)) {
        None => Init::Done,
        Some(view) => match view.exit_code() {
            Some(code) if !pod.restart_policy(Slot(0)).restarts(code) => Init::Failed,
            _ => Init::Going,
        },
    }
}

fn all_succeeded(pod: &Pod, observed: &Observed) -> bool {
    observed.containers.iter().skip(pod.init_count()).all(|view| view.exit_code() == Some(0))
}

/// It waits for its first run.
fn has_not_run(view: &ContainerView) -> bool {
    matches!(view.state, State::Waiting(_) | State::Starting) && view.last.is_none()
}

/// It runs, or will again.
fn goes_on(pod: &Pod, view: &ContainerView) -> bool {
    let policy = match pod.restart_policy(Slot(usize::MAX)) {
        RestartPolicy::Always => return true,
        other => other,
    };
    view.exit_code().is_none_or(|code| policy.restarts(code))
}
