//! What the world answers, and what it changes in what is known.

use std::net::IpAddr;

use jiff::Timestamp;

use super::observed::{NotStarted, Observed, Running, State, Terminated, Waiting};
use super::probe::{ProbeKind, ProbeState, Verdict};
use super::spec::Slot;
use crate::clock::after;
use crate::runtime::Exit;

/// A change in what is known.
#[derive(Debug)]
pub(crate) enum Change {
    IpAssigned(IpAddr),
    NoIp {
        retry_at: Timestamp,
    },
    Starting(Slot),
    /// A start that was under way is forgotten.
    Abandoned(Slot),
    Started {
        slot: Slot,
        id: String,
        image: String,
        image_id: String,
        probes: ProbeState,
    },
    NotStarted {
        slot: Slot,
        reason: NotStarted,
        message: String,
    },
    Stopping {
        slot: Slot,
        until: Timestamp,
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
            Change::Starting(slot) => self.starting(slot, now),
            Change::Abandoned(slot) => {
                if let Some(view) = self.containers.get_mut(slot.0) {
                    view.state = State::Waiting(None);
                }
            }
            Change::Started { slot, id, image, image_id, probes } => {
                let running = Running { id, image, started_at: now, probes, stopping: None };
                self.started(slot, running, image_id);
            }
            Change::NotStarted { slot, reason, message } => self.not_started(slot, reason, message, now),
            Change::Stopping { slot, until } => {
                if let Some(State::Running(running)) = self.containers.get_mut(slot.0).map(|view| &mut view.state) {
                    running.stopping = Some(until);
                }
            }
            Change::Exited { slot, id, exit } => self.exited(slot, &id, exit, now),
            Change::Probed { slot, id, kind, ok } => {
                if let Some(running) = self.running_mut(slot, &id) {
                    return running.probes.record(kind, ok);
                }
            }
        }
        Verdict::Unchanged
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
        let terminated = Terminated {
            id: running.id.clone(),
            exit_code: exit.code,
            reason: reason(&exit).to_owned(),
            message: exit.message,
            started_at: Some(running.started_at),
            finished_at: now,
        };
        self.containers[slot.0].state = State::Terminated(terminated);
    }
}

fn reason(exit: &Exit) -> &'static str {
    match exit {
        Exit { oom_killed: true, .. } => "OOMKilled",
        Exit { code: 0, .. } => "Completed",
        _ => "Error",
    }
}
