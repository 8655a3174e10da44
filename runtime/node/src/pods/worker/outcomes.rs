//! Takes in what has happened.

use std::borrow::Cow;

use futures::FutureExt;
use futures::future::abortable;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Container;

use super::{Done, Worker};
use crate::pods::doom::Doom;
use crate::pods::events::Kind;
use crate::pods::happened::Change;
use crate::pods::hooks::Hook;
use crate::pods::last_words::LastWords;
use crate::pods::observed::{NotStarted, State, Volumes};
use crate::pods::plan::crash_backoff;
use crate::pods::probe::ProbeState;
use crate::pods::slot::Slot;
use crate::pods::spec::PodExt;
use crate::pods::start::{Failure, Live};
use crate::runtime::Exit;

impl Worker {
    pub(super) fn take(&mut self, done: Done) {
        let now = self.context.clock.now();
        match done {
            Done::Started(slot, Ok(live)) => self.started(slot, live, now),
            Done::Started(slot, Err(failure)) => self.not_started(slot, failure, now),
            Done::Exited(slot, id, exit) => self.exited(slot, id, exit, now),
            Done::Hooked(slot, id, hook, result) => self.hooked(slot, id, hook, result, now),
            Done::ProbeDue(slot, id, kind) => self.probe(slot, id, kind),
            Done::Probed(slot, id, kind, answer) => self.probed(slot, id, kind, answer, now),
            Done::Mounted => self.mounted(now),
            Done::Exceeded(message) => self.doom(Doom::Evicted(message), now),
            Done::Told | Done::Abandoned => {}
            Done::Reported(status, outcome) => self.reports.reported(*status, outcome, now),
            Done::Deleted(outcome) => self.reports.deleted(outcome, now),
        }
    }

    /// From now on the volumes are kept as they should be.
    fn mounted(&mut self, now: Timestamp) {
        self.observed.apply(Change::Volumes(Volumes::Mounted), now);
        let (tend, tending) = abortable(self.volumes.clone().tend(self.desired.clone()));
        self.tending = Some(tending);
        self.pending.push(tend.map(|_| Done::Told).boxed());
        self.pending.push(self.volumes.exceeded().map(Done::Exceeded).boxed());
    }

    fn started(&mut self, slot: Slot, live: Live, now: Timestamp) {
        self.starting.remove(&slot);
        let container = self.pod.container(slot).map(Cow::into_owned).unwrap_or_default();
        let hook = Hook::PostStart.of(&container).is_some();
        let change = Change::Started {
            slot,
            id: live.id.clone(),
            image: live.image.clone(),
            image_id: live.image_id.clone(),
            hook,
            probes: ProbeState::new(&container),
        };
        self.observed.apply(change, now);
        self.observed.apply(Change::Given { slot, given: live.given.clone() }, now);
        let (id, exited, console) = (live.id.clone(), live.container.exited(), live.console.clone());
        let words = self.last_words(slot, &container);
        let ended = async move {
            let mut exit = exited.await;
            console.end();
            words.put(&mut exit).await;
            Done::Exited(slot, id, exit)
        };
        self.pending.push(ended.boxed());
        self.live.insert(slot, live);
        match hook {
            true => self.run_hook(slot, Hook::PostStart, None),
            false => self.begin_probes(slot, now),
        }
        self.retry(now, |reason| reason == NotStarted::AwaitsSibling);
    }

    fn last_words(&self, slot: Slot, container: &Container) -> LastWords {
        let restart = self.observed.get(slot).map_or(0, |view| view.restarts);
        LastWords::of(&self.context, &self.pod.reference(), container, restart)
    }

    fn not_started(&mut self, slot: Slot, failure: Failure, now: Timestamp) {
        self.starting.remove(&slot);
        let Failure { reason, message } = failure;
        self.observed.apply(Change::NotStarted { slot, reason, message }, now);
    }

    /// An image was loaded: whoever waits for one need not wait for its next try.
    pub(super) fn retry_images(&mut self) {
        let now = self.context.clock.now();
        self.retry(now, |reason| matches!(reason, NotStarted::ImagePull | NotStarted::ErrImageNeverPull));
    }

    /// Those that wait for one of these reasons need not wait for their next try.
    fn retry(&mut self, now: Timestamp, reasons: impl Fn(NotStarted) -> bool) {
        for view in &mut self.observed.containers {
            if let State::Waiting(Some(waiting)) = &mut view.state
                && reasons(waiting.reason)
            {
                waiting.retry_at = now;
            }
        }
    }

    fn exited(&mut self, slot: Slot, id: String, exit: Exit, now: Timestamp) {
        self.live.remove(&slot);
        self.observed.apply(Change::Exited { slot, id, exit }, now);
        if self.pod.deletion().is_none()
            && let Some(view) = self.observed.get(slot)
            && crash_backoff(&self.pod, slot, view, now).is_some()
        {
            let (name, pod) = (self.container_name(slot), self.pod.reference());
            let message = format!(
                "Back-off restarting failed container {name} in pod {}_{}({})",
                pod.name, pod.namespace, pod.uid
            );
            self.context.recorder.container(&self.pod, &name, Kind::Warning, "BackOff", message);
        }
    }
}
