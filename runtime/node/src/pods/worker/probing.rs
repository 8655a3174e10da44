//! Asks the probes of containers, each in its own rhythm.

use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;

use super::{Done, Worker};
use crate::clock::{after, between};
use crate::pods::events::Kind;
use crate::pods::happened::Change;
use crate::pods::probe::{self, Answer, ProbeKind};
use crate::pods::slot::Slot;
use crate::pods::spec::PodExt;

impl Worker {
    /// Begins to probe a container: with its startup probe, if it has one; the others follow once that has succeeded.
    pub(super) fn begin_probes(&mut self, slot: Slot, now: Timestamp) {
        let Some(running) = self.observed.get(slot).and_then(|view| view.running()) else { return };
        let kinds: &[ProbeKind] = match running.probes.started() {
            true => &[ProbeKind::Liveness, ProbeKind::Readiness],
            false => &[ProbeKind::Startup],
        };
        let (id, started_at) = (running.id.clone(), running.started_at);
        let Some(container) = self.pod.container(slot).map(|container| container.into_owned()) else { return };
        for kind in kinds {
            let Some(probe) = kind.of(&container) else { continue };
            let due = after(started_at, probe::seconds(probe.initial_delay_seconds, 0));
            self.later(between(now, due), Done::ProbeDue(slot, id.clone(), *kind));
        }
    }

    pub(super) fn probe(&mut self, slot: Slot, id: String, kind: ProbeKind) {
        let Some(running) = self.observed.running_mut(slot, &id) else { return };
        // What is told to end may still become unready, but no longer unhealthy.
        if running.stopping.is_some() && kind != ProbeKind::Readiness {
            return;
        }
        let Some(reach) = self.reach(slot) else { return };
        let Some(probe) = kind.of(&reach.spec).cloned() else { return };
        let ask = async move {
            let answer = probe::ask(&reach, &probe).await;
            Done::Probed(slot, id, kind, answer)
        };
        self.pending.push(ask.boxed());
    }

    pub(super) fn probed(&mut self, slot: Slot, id: String, kind: ProbeKind, answer: Answer, now: Timestamp) {
        let Some(running) = self.observed.running_mut(slot, &id) else { return };
        let had_started = running.probes.started();
        let Some(container) = self.pod.container(slot) else { return };
        let period = kind.of(&container).map(|probe| probe::seconds(probe.period_seconds, 10)).unwrap_or_default();
        self.tell_answer(&container.name, kind, &answer);
        if let Some(ok) = answer.decides() {
            self.observed.apply(Change::Probed { slot, id: id.clone(), kind, ok }, now);
        }
        let has_started = self.observed.get(slot).is_some_and(|view| view.has_started());
        match kind {
            ProbeKind::Startup if has_started && !had_started => self.begin_probes(slot, now),
            _ => self.later(period.max(Duration::from_secs(1)), Done::ProbeDue(slot, id, kind)),
        }
    }

    fn tell_answer(&self, container: &str, kind: ProbeKind, answer: &Answer) {
        let kind = kind.name();
        let (reason, message) = match answer {
            Answer::Good => return,
            Answer::Warning(text) => ("ProbeWarning", format!("{kind} probe warning: {text}")),
            Answer::Bad(text) => ("Unhealthy", format!("{kind} probe failed: {text}")),
            Answer::Error(text) => ("Unhealthy", format!("{kind} probe errored and resulted in unknown state: {text}")),
        };
        self.context.recorder.container(&self.pod, container, Kind::Warning, reason, message);
    }
}
