//! What the world answers, and what it changes in what is known.

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ResourceRequirements;

use super::doom::Doom;
use super::observed::{
    ContainerView, NotStarted, Observed, PostStart, Running, State, StopReason, StopStep, Stopping, Terminated,
    Volumes, Waiting,
};
use super::probe::{ProbeKind, ProbeState, Verdict};
use super::resize::Unfulfilled;
use super::slot::Slot;
use crate::clock::after;
use crate::runtime::Exit;

/// A change in what is known.
#[derive(Debug)]
pub(crate) enum Change {
    IpAssigned(IpAddr),
    NoIp {
        retry_at: Timestamp,
    },
    /// The init containers have done their part.
    Initialized,
    /// This node has decided that the Pod must end.
    Doomed(Doom),
    /// It is to end by that moment.
    Ending(Timestamp),
    /// Its volumes are being set up, or are.
    Volumes(Volumes),
    Starting(Slot),
    /// A start that was under way is forgotten.
    Abandoned(Slot),
    Started {
        slot: Slot,
        id: String,
        image: String,
        image_id: String,
        /// It has a postStart hook, which begins now.
        hook: bool,
        probes: ProbeState,
    },
    PostStarted {
        slot: Slot,
        id: String,
        result: Result<(), String>,
    },
    PreStopped {
        slot: Slot,
        id: String,
    },
    NotStarted {
        slot: Slot,
        reason: NotStarted,
        message: String,
    },
    /// These resources are set aside for a container.
    Allocated {
        slot: Slot,
        allocated: ResourceRequirements,
    },
    /// A container that runs has these resources.
    Given {
        slot: Slot,
        given: ResourceRequirements,
    },
    /// A container has to be started anew to be given what it wishes.
    MustRestart(Slot),
    /// All was given that is wished for; or why not.
    Resized(Option<Unfulfilled>),
    Stopping {
        slot: Slot,
        stopping: Stopping,
    },
    Exited {
        slot: Slot,
        id: String,
        exit: Exit,
    },
    Probed {
        slot: Slot,
        id: String,
        kind: ProbeKind,
        ok: bool,
    },
}

impl Observed {
    /// Takes a change in; answers what a probe's outcome decided.
    pub(crate) fn apply(&mut self, change: Change, now: Timestamp) -> Verdict {
        match change {
            Change::IpAssigned(ip) => self.ip = Some(ip),
            Change::NoIp { retry_at } => self.ip_retry_at = Some(retry_at),
            Change::Initialized => self.initialized = true,
            Change::Doomed(doom) => self.doom = Some(doom),
            Change::Ending(until) => self.ending = Some(until),
            Change::Volumes(volumes) => self.volumes = volumes,
            Change::Starting(slot) => self.starting(slot, now),
            Change::Abandoned(slot) => self.in_view(slot, |view| view.state = State::Waiting(None)),
            Change::Started { slot, id, image, image_id, hook, probes } => {
                self.started(slot, Running::begun(id, image, hook, probes, now), image_id);
            }
            Change::NotStarted { slot, reason, message } => self.not_started(slot, reason, message, now),
            Change::PostStarted { slot, id, result } => self.post_started(slot, &id, result),
            Change::PreStopped { slot, id } => self.pre_stopped(slot, &id),
            Change::Allocated { slot, allocated } => self.in_view(slot, |view| view.allocated = Some(allocated)),
            Change::Given { slot, given } => self.given(slot, given),
            Change::MustRestart(slot) => self.in_run(slot, |running| running.must_restart = true),
            Change::Resized(unfulfilled) => self.unfulfilled = unfulfilled,
            Change::Stopping { slot, stopping } => self.in_run(slot, |running| running.stopping = Some(stopping)),
            Change::Exited { slot, id, exit } => self.exited(slot, &id, exit, now),
            Change::Probed { slot, id, kind, ok } => {
                let running = self.running_mut(slot, &id);
                return running.map_or(Verdict::Unchanged, |running| running.probes.record(kind, ok));
            }
        }
        Verdict::Unchanged
    }

    fn in_view(&mut self, slot: Slot, change: impl FnOnce(&mut ContainerView)) {
        if let Some(view) = self.containers.get_mut(slot.0) {
            change(view);
        }
    }

    fn in_run(&mut self, slot: Slot, change: impl FnOnce(&mut Running)) {
        self.in_view(slot, |view| {
            if let State::Running(running) = &mut view.state {
                change(running);
            }
        });
    }

    fn post_started(&mut self, slot: Slot, id: &str, result: Result<(), String>) {
        if let Some(running) = self.running_mut(slot, id) {
            running.post_start = result.map_or_else(PostStart::Failed, |()| PostStart::Over);
        }
    }

    fn pre_stopped(&mut self, slot: Slot, id: &str) {
        let stopping = self.running_mut(slot, id).and_then(|running| running.stopping.as_mut());
        if let Some(stopping) = stopping.filter(|stopping| stopping.step == StopStep::PreStop) {
            stopping.step = StopStep::PreStopped;
        }
    }

    fn given(&mut self, slot: Slot, given: ResourceRequirements) {
        self.in_view(slot, |view| {
            view.allocated.get_or_insert_with(|| given.clone());
        });
        self.in_run(slot, |running| running.given = given);
    }

    fn starting(&mut self, slot: Slot, now: Timestamp) {
        let Some(view) = self.containers.get_mut(slot.0) else { return };
        match std::mem::replace(&mut view.state, State::Starting) {
            State::Terminated(run) => {
                view.crashes.tried(run.finished_at, now);
                view.last = Some(run);
            }
            State::Waiting(Some(failed)) => view.failures.tried(failed.since, now),
            _ => {}
        }
    }

    fn started(&mut self, slot: Slot, running: Running, image_id: String) {
        let Some(view) = self.containers.get_mut(slot.0) else { return };
        view.restarts = view.next_restart();
        view.image_id = image_id;
        view.failures = Default::default();
        view.state = State::Running(running);
    }

    fn not_started(&mut self, slot: Slot, reason: NotStarted, message: String, now: Timestamp) {
        let Some(view) = self.containers.get_mut(slot.0) else { return };
        // Trying at once what has just failed would fail again: the first wait is as long as the second.
        let wait = view.failures.delay(now).max(std::time::Duration::from_secs(10));
        view.state = State::Waiting(Some(Waiting { reason, message, since: now, retry_at: after(now, wait) }));
    }

    fn exited(&mut self, slot: Slot, id: &str, exit: Exit, now: Timestamp) {
        let Some(running) = self.running_mut(slot, id) else { return };
        let stopped = running.stopping.map(|stopping| stopping.why);
        let post_start_error = match &running.post_start {
            PostStart::Failed(error) => Some(error.clone()),
            PostStart::Going | PostStart::Over => None,
        };
        let terminated = Terminated {
            id: running.id.clone(),
            exit_code: exit.code,
            reason: reason(&exit).to_owned(),
            message: exit.message,
            started_at: Some(running.started_at),
            finished_at: now,
            stopped,
            post_start_error,
        };
        if matches!(stopped, Some(StopReason::ImageChanged | StopReason::Resized)) {
            self.containers[slot.0].crashes = Default::default();
        }
        self.containers[slot.0].state = State::Terminated(terminated);
    }
}

impl Running {
    fn begun(id: String, image: String, hook: bool, probes: ProbeState, now: Timestamp) -> Running {
        Running {
            id,
            image,
            started_at: now,
            post_start: if hook { PostStart::Going } else { PostStart::Over },
            probes,
            given: ResourceRequirements::default(),
            must_restart: false,
            stopping: None,
        }
    }
}

fn reason(exit: &Exit) -> &'static str {
    match exit {
        Exit { oom_killed: true, .. } => "OOMKilled",
        Exit { code: 0, .. } => "Completed",
        _ => "Error",
    }
}
