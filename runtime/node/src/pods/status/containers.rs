//! The status of one container.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
    ContainerUser, LinuxContainerUser, Pod, VolumeMount, VolumeMountStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::clock::after;
use crate::pods::observed::{ContainerView, NotStarted, State, Terminated, Waiting};
use crate::pods::phase::Init;
use crate::pods::plan::crash_backoff;
use crate::pods::restart::restarts;
use crate::pods::slot::{Role, Slot};
use crate::pods::spec::PodExt;

/// How long a failed start is reported as such, before it is reported as waiting.
const FRESH: std::time::Duration = std::time::Duration::from_secs(2);

pub(super) fn status(
    pod: &Pod,
    slot: Slot,
    view: &ContainerView,
    progress: Init,
    now: Timestamp,
) -> Option<ContainerStatus> {
    let container = pod.container(slot)?;
    let (state, last) = states(pod, slot, view, progress, now);
    let id = state.terminated.as_ref().or(last.as_ref()).and_then(|ended| ended.container_id.clone());
    let id = view.running().map(|running| running.id.clone()).or(id);
    let allocated = view.allocated.as_ref().filter(|allocated| **allocated != Default::default());
    let given = view.running().map(|running| &running.given).or(allocated);
    Some(ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        image_id: view.image_id.clone(),
        container_id: id.filter(|id| !id.is_empty()),
        ready: is_ready(pod, slot, view),
        started: (pod.role(slot) != Role::Ephemeral).then(|| view.has_started()),
        restart_count: view.restarts,
        state: Some(state),
        last_state: Some(ContainerState { terminated: last, ..Default::default() }),
        allocated_resources: allocated.and_then(|allocated| allocated.requests.clone()),
        resources: given.filter(|given| **given != Default::default()).cloned(),
        volume_mounts: container.volume_mounts.as_ref().map(|mounts| mounts.iter().map(mounted).collect()),
        user: (view.running().is_some() || view.latest_run().is_some()).then(user),
        ..ContainerStatus::default()
    })
}

/// Rights are taken from a mount as a whole: whatever lies below one that is read-only is so, too.
fn mounted(mount: &VolumeMount) -> VolumeMountStatus {
    let read_only = mount.read_only == Some(true);
    let recursive = match mount.recursive_read_only.as_deref() {
        Some("Enabled" | "IfPossible") => "Enabled",
        _ => "Disabled",
    };
    VolumeMountStatus {
        name: mount.name.clone(),
        mount_path: mount.mount_path.clone(),
        read_only: mount.read_only,
        recursive_read_only: read_only.then(|| recursive.to_owned()),
        ..VolumeMountStatus::default()
    }
}

/// A guest has no user of its own, whatever its Pod asks for: what it does to files it does as the node's.
fn user() -> ContainerUser {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    let others = rustix::process::getgroups().unwrap_or_default().into_iter().filter(|group| *group != gid);
    let groups = [gid].into_iter().chain(others).map(|group| group.as_raw().into());
    let linux = LinuxContainerUser {
        uid: uid.as_raw().into(),
        gid: gid.as_raw().into(),
        supplemental_groups: Some(groups.collect()),
    };
    ContainerUser { linux: Some(linux) }
}

fn is_ready(pod: &Pod, slot: Slot, view: &ContainerView) -> bool {
    match pod.role(slot) {
        Role::Init => view.exit_code() == Some(0),
        Role::Ephemeral => false,
        // A Pod that is deleted is taken out of its Services for that; a write to say so again would only cost.
        Role::Sidecar | Role::Main => view.running().is_some_and(|running| {
            !running.is_beginning()
                && running.probes.ready()
                && (running.stopping.is_none() || pod.deletion().is_some())
        }),
    }
}

/// The container's state, and the end of the run before.
fn states(
    pod: &Pod,
    slot: Slot,
    view: &ContainerView,
    progress: Init,
    now: Timestamp,
) -> (ContainerState, Option<ContainerStateTerminated>) {
    let terminated = |run: &Terminated| terminated(pod, run);
    let last = view.last.as_ref().map(terminated);
    match &view.state {
        State::Waiting(failed) => {
            let state = failed.as_ref().map_or_else(|| not_yet(pod, slot, progress), |failed| failure(failed, now));
            (waiting(state), last)
        }
        State::Starting => (waiting(not_yet(pod, slot, progress)), last),
        State::Running(running) if running.is_beginning() => (waiting(not_yet(pod, slot, progress)), last),
        State::Running(running) => {
            let running = ContainerStateRunning { started_at: Some(Time(running.started_at)) };
            (ContainerState { running: Some(running), ..Default::default() }, last)
        }
        State::Terminated(run) => match next_run(pod, slot, view, run, now) {
            Some(next) => (waiting(next), Some(terminated(run))),
            None => (ContainerState { terminated: Some(terminated(run)), ..Default::default() }, last),
        },
    }
}

/// What a container that has ended waits for, if it is to be started again later.
fn next_run(
    pod: &Pod,
    slot: Slot,
    view: &ContainerView,
    run: &Terminated,
    now: Timestamp,
) -> Option<ContainerStateWaiting> {
    let crashed = crash_backoff(pod, slot, view, now);
    let fresh = crashed.is_none() || now < after(run.finished_at, FRESH);
    match &run.post_start_error {
        Some(error) if fresh && restarts(pod, slot, run) && now < view.next_try(run) => {
            Some(ContainerStateWaiting { reason: Some("PostStartHookError".to_owned()), message: Some(error.clone()) })
        }
        _ => crashed.map(|delay| crash_loop(pod, slot, delay)),
    }
}

fn waiting(waiting: ContainerStateWaiting) -> ContainerState {
    ContainerState { waiting: Some(waiting), ..Default::default() }
}

fn not_yet(pod: &Pod, slot: Slot, progress: Init) -> ContainerStateWaiting {
    let init_first = match pod.role(slot) {
        Role::Init | Role::Sidecar => true,
        Role::Main => progress != Init::Done,
        Role::Ephemeral => false,
    };
    let reason = if init_first { "PodInitializing" } else { "ContainerCreating" };
    ContainerStateWaiting { reason: Some(reason.to_owned()), message: None }
}

fn failure(failed: &Waiting, now: Timestamp) -> ContainerStateWaiting {
    let (reason, message) = match failed.reason {
        NotStarted::ImagePull if now < after(failed.since, FRESH) => ("ErrImagePull", failed.message.clone()),
        NotStarted::ImagePull => ("ImagePullBackOff", format!("Back-off pulling image: {}", failed.message)),
        NotStarted::ErrImageNeverPull => ("ErrImageNeverPull", failed.message.clone()),
        NotStarted::InvalidImageName => ("InvalidImageName", failed.message.clone()),
        NotStarted::CreateContainerConfigError => ("CreateContainerConfigError", failed.message.clone()),
        NotStarted::CreateContainerError => ("CreateContainerError", failed.message.clone()),
        NotStarted::RunContainerError => ("RunContainerError", failed.message.clone()),
        NotStarted::AwaitsSibling => ("ContainerCreating", failed.message.clone()),
    };
    ContainerStateWaiting { reason: Some(reason.to_owned()), message: Some(message) }
}

/// When the report of a failed start changes by the passing of time alone.
pub(in crate::pods) fn next_change(view: &ContainerView, now: Timestamp) -> Option<Timestamp> {
    let failed_at = match &view.state {
        State::Waiting(Some(failed)) if failed.reason == NotStarted::ImagePull => failed.since,
        State::Terminated(run) if run.post_start_error.is_some() => run.finished_at,
        _ => return None,
    };
    Some(after(failed_at, FRESH)).filter(|stale| *stale > now)
}

fn crash_loop(pod: &Pod, slot: Slot, delay: std::time::Duration) -> ContainerStateWaiting {
    let name = pod.container(slot).map(|container| container.name.clone()).unwrap_or_default();
    let id = pod.reference();
    let delay = match delay.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds => format!("{}m{}s", seconds / 60, seconds % 60),
    };
    ContainerStateWaiting {
        reason: Some("CrashLoopBackOff".to_owned()),
        message: Some(format!(
            "back-off {delay} restarting failed container={name} pod={}_{}({})",
            id.name, id.namespace, id.uid
        )),
    }
}

/// What the messages of all containers of a Pod may take together, in bytes, as a kubelet has it.
const MESSAGES: usize = 12 * 1024;

fn terminated(pod: &Pod, run: &Terminated) -> ContainerStateTerminated {
    ContainerStateTerminated {
        container_id: Some(run.id.clone()).filter(|id| !id.is_empty()),
        exit_code: run.exit_code,
        reason: Some(run.reason.clone()).filter(|reason| !reason.is_empty()),
        message: run
            .message
            .as_deref()
            .map(|message| cut(message, MESSAGES / pod.containers().count().max(1)).to_owned()),
        started_at: run.started_at.map(Time),
        finished_at: Some(Time(run.finished_at)),
        signal: None,
    }
}

/// The beginning of a text, in whole characters.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
