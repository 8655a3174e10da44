//! Takes in what has happened.

use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;

use super::{Done, Worker};
use crate::pods::events::Kind;
use crate::pods::happened::Change;
use crate::pods::observed::{NotStarted, State};
use crate::pods::plan::crash_backoff;
use crate::pods::probe::{self, ProbeKind, ProbeState};
use crate::pods::spec::{PodExt, Slot};
use crate::pods::start::{Failure, Live};
use crate::runtime::Exit;

impl Worker {
    pub(super) fn take(&mut self, done: Done) {
        let now = self.context.clock.now();
        match done {
            Done::Started(slot, Ok(live)) => self.started(slot, live, now),
            Done::Started(slot, Err(failure)) => self.not_started(slot, failure, now),
            Done::Exited(slot, id, exit) => self.exited(slot, id, exit, now),
            Done::ProbeDue(slot, id, kind) => self.probe(slot, id, kind),
            Done::Probed(slot, id, kind, result) => self.probed(slot, id, kind, result, now),
            Done::Told | Done::Abandoned => {}
            Done::Reported(status, outcome) => self.reports.reported(*status, outcome, now),
            Done::Deleted(outcome) => self.reports.deleted(outcome, now),
        }
    }

    fn started(&mut self, slot: Slot, live: Live, now: Timestamp) {
        self.starting.remove(&slot);
        let container = self.pod.container(slot).cloned().unwrap_or_default();
        let change = Change::Started {
            slot,
            id: live.id.clone(),
            image: live.image.clone(),
            image_id: live.image_id.clone(),
            probes: ProbeState::new(&container),
        };
        self.observed.apply(change, now);
        let (id, exited) = (live.id.clone(), live.container.exited());
        self.pending.push(exited.map(move |exit| Done::Exited(slot, id, exit)).boxed());
        for kind in ProbeKind::ALL {
            let Some(probe) = kind.of(&container) else { continue };
            if probe::is_supported(probe) {
                let delay = probe::seconds(probe.initial_delay_seconds, 0);
                self.later(delay, Done::ProbeDue(slot, live.id.clone(), kind));
            } else {
                let message = format!("{} probe errored: exec and grpc probes are not supported yet", kind.name());
                self.context.recorder.container(&self.pod, &container.name, Kind::Warning, "Unhealthy", message);
            }
        }
        self.live.insert(slot, live);
    }

    fn not_started(&mut self, slot: Slot, failure: Failure, now: Timestamp) {
        self.starting.remove(&slot);
        let Failure { reason, message } = failure;
        self.observed.apply(Change::NotStarted { slot, reason, message }, now);
    }

    /// An image was loaded: whoever waits for one need not wait for its next try.
    pub(super) fn retry_images(&mut self) {
        let now = self.context.clock.now();
        for view in &mut self.observed.containers {
            if let State::Waiting(Some(waiting)) = &mut view.state
                && matches!(waiting.reason, NotStarted::ImagePull | NotStarted::ErrImageNeverPull)
            {
                waiting.retry_at = now;
            }
        }
    }

    fn exited(&mut self, slot: Slot, id: String, exit: Exit, now: Timestamp) {
        if let Some(live) = self.live.remove(&slot) {
            live.log.end();
        }
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

    fn probe(&mut self, slot: Slot, id: String, kind: ProbeKind) {
        let Some(running) = self.observed.running_mut(slot, &id) else { return };
        if running.stopping.is_some() || (kind == ProbeKind::Startup && !running.probes.wants(kind)) {
            return;
        }
        let wanted = running.probes.wants(kind);
        let (Some(container), Some(ip)) = (self.pod.container(slot).cloned(), self.observed.ip) else { return };
        let Some(probe) = kind.of(&container).cloned() else { return };
        if !wanted {
            return self.later(probe::seconds(probe.period_seconds, 10), Done::ProbeDue(slot, id, kind));
        }
        let endpoints = self.context.endpoints.clone();
        let ask = async move {
            let result = probe::ask(&endpoints, ip, &container, &probe).await;
            Done::Probed(slot, id, kind, result)
        };
        self.pending.push(ask.boxed());
    }

    fn probed(&mut self, slot: Slot, id: String, kind: ProbeKind, result: Result<(), String>, now: Timestamp) {
        let Some(container) = self.pod.container(slot) else { return };
        let period = kind.of(container).map(|probe| probe::seconds(probe.period_seconds, 10)).unwrap_or_default();
        if self.observed.running_mut(slot, &id).is_none() {
            return;
        }
        if let Err(message) = &result {
            let message = format!("{} probe failed: {message}", kind.name());
            self.context.recorder.container(&self.pod, &container.name, Kind::Warning, "Unhealthy", message);
        }
        self.observed.apply(Change::Probed { slot, id: id.clone(), kind, ok: result.is_ok() }, now);
        self.later(period.max(Duration::from_secs(1)), Done::ProbeDue(slot, id, kind));
    }
}
