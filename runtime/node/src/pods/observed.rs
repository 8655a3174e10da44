//! What is known of a Pod's containers.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ResourceRequirements;

use super::backoff::Backoff;
use super::doom::Doom;
use super::probe::{ProbeKind, ProbeState};
use super::resize::Unfulfilled;
use super::slot::Slot;
use crate::clock::after;

/// What is known of one Pod on this node, beside what the API says of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    pub(crate) ip: Option<IpAddr>,
    /// When to ask for an address again, if there was none.
    pub(crate) ip_retry_at: Option<Timestamp>,
    /// How far its volumes are.
    pub(crate) volumes: Volumes,
    /// When this node first saw it.
    pub(crate) started_at: Option<Timestamp>,
    /// In the order of their [`Slot`]s.
    pub(crate) containers: Vec<ContainerView>,
    /// Its init containers have done their part; what happens to them later does not take that back.
    pub(crate) initialized: bool,
    /// The API has no such Pod any more: it is to end at once, and nothing is to be reported.
    pub(crate) gone: bool,
    /// This node has decided that it must end.
    pub(crate) doom: Option<Doom>,
    /// Until when its containers may go on, once it is to end.
    pub(crate) ending: Option<Timestamp>,
    /// It wishes for other resources, and cannot have them yet.
    pub(crate) unfulfilled: Option<Unfulfilled>,
    /// It had ended before this node saw it; it must never run (again).
    pub(crate) ended: Option<Ended>,
}

/// How far a Pod's volumes are: no container starts before all of them are there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Volumes {
    #[default]
    Absent,
    Mounting,
    Mounted,
}

/// How a Pod ended that this node did not run to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Succeeded,
    Failed,
}

/// What a container waits at least whose postStart hook has failed, as for a kubelet's next look at its Pod.
const AFTER_HOOK: Duration = Duration::from_secs(10);

/// What is known of one container.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ContainerView {
    pub(crate) state: State,
    /// The run before this one.
    pub(crate) last: Option<Terminated>,
    pub(crate) restarts: i32,
    pub(crate) image_id: String,
    /// What the node has set aside for it, and starts it with, whatever its Pod wishes by now; nothing before its first run.
    pub(crate) allocated: Option<ResourceRequirements>,
    /// Between runs that end.
    pub(crate) crashes: Backoff,
    /// Between starts that fail.
    pub(crate) failures: Backoff,
}

/// The life of a container.
///
/// `Waiting` -> `Starting` -> `Running` -> `Terminated` -> `Starting` ...; a start that fails goes back to `Waiting`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum State {
    /// It never ran, or could not be started.
    Waiting(Option<Waiting>),
    /// It is being started.
    Starting,
    Running(Running),
    Terminated(Terminated),
}

impl Default for State {
    fn default() -> State {
        State::Waiting(None)
    }
}

/// Why a container could not be started.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Waiting {
    pub(crate) reason: NotStarted,
    pub(crate) message: String,
    pub(crate) since: Timestamp,
    pub(crate) retry_at: Timestamp,
}

/// The reasons that Kubernetes names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotStarted {
    ErrImageNeverPull,
    /// Reported as `ErrImagePull`, then as `ImagePullBackOff` while it waits.
    ImagePull,
    InvalidImageName,
    CreateContainerConfigError,
    CreateContainerError,
    RunContainerError,
    /// The sibling that exports what it imports does not run; reported as `ContainerCreating`.
    AwaitsSibling,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Running {
    pub(crate) id: String,
    /// What the spec called its image when it was started.
    pub(crate) image: String,
    pub(crate) started_at: Timestamp,
    /// Until its postStart hook is over it is not reported as running, and nothing probes it.
    pub(crate) post_start: PostStart,
    pub(crate) probes: ProbeState,
    /// What it has of resources.
    pub(crate) given: ResourceRequirements,
    /// It has to be started anew to be given what it wishes.
    pub(crate) must_restart: bool,
    pub(crate) stopping: Option<Stopping>,
}

impl Running {
    /// Its start is not over yet.
    pub(crate) fn is_beginning(&self) -> bool {
        self.post_start != PostStart::Over
    }
}

/// How far a container's postStart hook has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PostStart {
    Going,
    /// It has failed; how.
    Failed(String),
    /// It has succeeded, or there is none.
    Over,
}

/// How far a container's end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopping {
    pub(crate) why: StopReason,
    /// Until when it may go on.
    pub(crate) until: Timestamp,
    pub(crate) step: StopStep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopStep {
    /// Its preStop hook runs.
    PreStop,
    /// Its preStop hook has ended.
    PreStopped,
    /// It was told to end.
    Told,
}

/// Why a container is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// Its Pod is deleted, or has ended.
    PodEnds,
    /// It does not answer its liveness or startup probe.
    Unhealthy(ProbeKind),
    /// Its image was changed in the spec.
    ImageChanged,
    /// It is to have other resources, and wants to be started anew for that.
    Resized,
    /// Its postStart hook failed.
    PostStartFailed,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Terminated {
    pub(crate) id: String,
    pub(crate) exit_code: i32,
    pub(crate) reason: String,
    pub(crate) message: Option<String>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Timestamp,
    /// Why this node ended it, if it did.
    pub(crate) stopped: Option<StopReason>,
    /// How its postStart hook failed, if it did.
    pub(crate) post_start_error: Option<String>,
}

impl ContainerView {
    /// The number of the next run: the first is 0.
    pub(crate) fn next_restart(&self) -> i32 {
        if self.latest_run().is_some() { self.restarts + 1 } else { 0 }
    }

    /// The run that ended last.
    pub(crate) fn latest_run(&self) -> Option<&Terminated> {
        match &self.state {
            State::Terminated(terminated) => Some(terminated),
            _ => self.last.as_ref(),
        }
    }

    /// When a run that ended so may be followed by another.
    pub(crate) fn next_try(&self, ended: &Terminated) -> Timestamp {
        let least = if ended.post_start_error.is_some() { AFTER_HOOK } else { Duration::ZERO };
        after(ended.finished_at, self.crashes.delay(ended.finished_at).max(least))
    }

    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.state, State::Starting | State::Running(_))
    }

    pub(crate) fn running(&self) -> Option<&Running> {
        match &self.state {
            State::Running(running) => Some(running),
            _ => None,
        }
    }

    /// It runs, and its start is over.
    pub(crate) fn has_begun(&self) -> bool {
        self.running().is_some_and(|running| !running.is_beginning())
    }

    /// It has passed its startup probe.
    pub(crate) fn has_started(&self) -> bool {
        self.running().is_some_and(|running| !running.is_beginning() && running.probes.started())
    }

    /// It has ended, and how.
    pub(crate) fn ended(&self) -> Option<&Terminated> {
        match &self.state {
            State::Terminated(terminated) => Some(terminated),
            _ => None,
        }
    }

    pub(crate) fn exit_code(&self) -> Option<i32> {
        self.ended().map(|run| run.exit_code)
    }
}

impl Observed {
    pub(crate) fn get(&self, slot: Slot) -> Option<&ContainerView> {
        self.containers.get(slot.0)
    }

    /// Whether anything of it runs or is about to.
    pub(crate) fn is_alive(&self) -> bool {
        self.containers.iter().any(ContainerView::is_alive)
    }

    /// The run with this ID, if it is still the one that runs.
    pub(crate) fn running_mut(&mut self, slot: Slot, id: &str) -> Option<&mut Running> {
        match &mut self.containers.get_mut(slot.0)?.state {
            State::Running(running) if running.id == id => Some(running),
            _ => None,
        }
    }
}
