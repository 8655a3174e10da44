//! What is known of a Pod's containers.

use std::net::IpAddr;

use jiff::Timestamp;

use super::backoff::Backoff;
use super::probe::ProbeState;
use super::spec::Slot;

/// What is known of one Pod on this node, beside what the API says of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    pub(crate) ip: Option<IpAddr>,
    /// When to ask for an address again, if there was none.
    pub(crate) ip_retry_at: Option<Timestamp>,
    /// When this node first saw it.
    pub(crate) started_at: Option<Timestamp>,
    /// In the order of their [`Slot`]s.
    pub(crate) containers: Vec<ContainerView>,
    /// The API has no such Pod any more: it is to end at once, and nothing is to be reported.
    pub(crate) gone: bool,
    /// It had ended before this node saw it; it must never run (again).
    pub(crate) ended: Option<Ended>,
}

/// How a Pod ended that this node did not run to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Succeeded,
    Failed,
}

/// What is known of one container.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ContainerView {
    pub(crate) state: State,
    /// The run before this one.
    pub(crate) last: Option<Terminated>,
    pub(crate) restarts: i32,
    pub(crate) image_id: String,
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
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Running {
    pub(crate) id: String,
    /// What the spec called its image when it was started.
    pub(crate) image: String,
    pub(crate) started_at: Timestamp,
    pub(crate) probes: ProbeState,
    /// Until when it may go on, once it was told to end.
    pub(crate) stopping: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Terminated {
    pub(crate) id: String,
    pub(crate) exit_code: i32,
    pub(crate) reason: String,
    pub(crate) message: Option<String>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Timestamp,
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

    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.state, State::Starting | State::Running(_))
    }

    pub(crate) fn running(&self) -> Option<&Running> {
        match &self.state {
            State::Running(running) => Some(running),
            _ => None,
        }
    }

    pub(crate) fn exit_code(&self) -> Option<i32> {
        match &self.state {
            State::Terminated(terminated) => Some(terminated.exit_code),
            _ => None,
        }
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
