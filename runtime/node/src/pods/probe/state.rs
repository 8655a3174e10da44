//! What the answers of probes add up to.

use k8s_openapi::api::core::v1::{Container, Probe};

use super::ProbeKind;

/// What the probes of a running container have found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProbeState {
    startup: Option<Counter>,
    liveness: Option<Counter>,
    readiness: Option<Counter>,
}

/// What a probe's outcome changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Unchanged,
    Changed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Counter {
    good_at_first: bool,
    decided: Option<bool>,
    last: bool,
    in_a_row: u32,
    successes: u32,
    failures: u32,
}

impl ProbeState {
    pub(crate) fn new(container: &Container) -> ProbeState {
        let counter = |probe: Option<&Probe>, good| probe.map(|probe| Counter::new(probe, good));
        ProbeState {
            startup: counter(container.startup_probe.as_ref(), false),
            liveness: counter(container.liveness_probe.as_ref(), true),
            readiness: counter(container.readiness_probe.as_ref(), false),
        }
    }

    /// It is ready: started up, and its readiness probe, if it has one, says so.
    pub(crate) fn ready(&self) -> bool {
        self.started() && self.readiness.as_ref().is_none_or(|counter| counter.good())
    }

    pub(crate) fn started(&self) -> bool {
        self.startup.as_ref().is_none_or(|counter| counter.good())
    }

    /// The probe that it must pass and that has failed too often.
    pub(crate) fn must_restart(&self) -> Option<ProbeKind> {
        let must = [(ProbeKind::Startup, &self.startup), (ProbeKind::Liveness, &self.liveness)];
        must.into_iter().find(|(_, counter)| counter.as_ref().is_some_and(Counter::failed)).map(|(kind, _)| kind)
    }

    pub(crate) fn record(&mut self, kind: ProbeKind, ok: bool) -> Verdict {
        let counter = match kind {
            ProbeKind::Startup => &mut self.startup,
            ProbeKind::Liveness => &mut self.liveness,
            ProbeKind::Readiness => &mut self.readiness,
        };
        counter.as_mut().map_or(Verdict::Unchanged, |counter| counter.record(ok))
    }
}

impl Counter {
    fn new(probe: &Probe, good_at_first: bool) -> Counter {
        let threshold = |n: Option<i32>, default: u32| n.and_then(|n| n.try_into().ok()).unwrap_or(default).max(1);
        Counter {
            good_at_first,
            decided: None,
            last: false,
            in_a_row: 0,
            successes: threshold(probe.success_threshold, 1),
            failures: threshold(probe.failure_threshold, 3),
        }
    }

    fn good(&self) -> bool {
        self.decided.unwrap_or(self.good_at_first)
    }

    fn failed(&self) -> bool {
        self.decided == Some(false)
    }

    fn record(&mut self, ok: bool) -> Verdict {
        self.in_a_row = if ok == self.last { self.in_a_row.saturating_add(1) } else { 1 };
        self.last = ok;
        let threshold = if ok { self.successes } else { self.failures };
        if self.in_a_row < threshold || self.decided == Some(ok) {
            return Verdict::Unchanged;
        }
        self.decided = Some(ok);
        Verdict::Changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(successes: i32, failures: i32) -> Probe {
        Probe { success_threshold: Some(successes), failure_threshold: Some(failures), ..Default::default() }
    }

    #[test]
    fn readiness_needs_as_many_outcomes_in_a_row_as_its_thresholds_say() {
        let container = Container { readiness_probe: Some(probe(2, 3)), ..Default::default() };
        let mut state = ProbeState::new(&container);
        let mut ready = Vec::new();
        for ok in [true, false, true, true, false, false, true, false, false, false] {
            state.record(ProbeKind::Readiness, ok);
            ready.push(state.ready());
        }
        assert_eq!(ready, [false, false, false, true, true, true, true, true, true, false]);
        assert_eq!(state.must_restart(), None);
    }

    #[test]
    fn liveness_fails_after_its_threshold_and_waits_for_startup() {
        let container =
            Container { startup_probe: Some(probe(1, 9)), liveness_probe: Some(probe(1, 2)), ..Default::default() };
        let mut state = ProbeState::new(&container);
        assert!(!state.started() && !state.ready());
        state.record(ProbeKind::Startup, true);
        assert!(state.started() && state.ready());

        for (ok, restart) in [(false, false), (true, false), (false, false), (false, true)] {
            state.record(ProbeKind::Liveness, ok);
            assert_eq!(state.must_restart(), restart.then_some(ProbeKind::Liveness));
        }
    }
}
