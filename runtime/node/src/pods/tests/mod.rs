mod endings;
mod plans;
mod resizes;
mod sidecars;
mod statuses;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::happened::Change;
use super::hooks::Hook;
use super::observed::{NotStarted, Observed, StopReason, StopStep, Stopping};
use super::plan::{Action, Plan, plan};
use super::probe::{ProbeKind, ProbeState};
use super::slot::Slot;
use super::spec::PodExt;
use crate::clock::after;
use crate::runtime::Exit;

/// A Pod with these containers, and what is known of it, to tell a story with.
struct Story {
    pod: Pod,
    observed: Observed,
    now: Timestamp,
}

impl Story {
    fn new(spec: Value) -> Story {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "ns", "uid": "u", "generation": 1},
            "spec": spec
        }))
        .unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let mut observed = super::recover::observed(&pod, now);
        observed.apply(Change::IpAssigned("10.244.0.2".parse().unwrap()), now);
        Story { pod, observed, now }
    }

    /// One container `a` with image `i`.
    fn single(policy: &str) -> Story {
        Story::new(json!({"restartPolicy": policy, "containers": [{"name": "a", "image": "i"}]}))
    }

    fn apply(mut self, change: Change) -> Story {
        self.observed.apply(change, self.now);
        self
    }

    fn starting(self, slot: usize) -> Story {
        self.apply(Change::Starting(Slot(slot)))
    }

    fn running(self, slot: usize) -> Story {
        let container = self.pod.container(Slot(slot)).unwrap().into_owned();
        let started = Change::Started {
            slot: Slot(slot),
            id: "id".into(),
            image: "i".into(),
            image_id: "sha256:1".into(),
            hook: Hook::PostStart.of(&container).is_some(),
            probes: ProbeState::new(&container),
        };
        let given = container.resources.unwrap_or_default();
        self.starting(slot).apply(started).apply(Change::Given { slot: Slot(slot), given })
    }

    fn failing(self, slot: usize, reason: NotStarted) -> Story {
        self.starting(slot).apply(Change::NotStarted { slot: Slot(slot), reason, message: "why".into() })
    }

    fn exited(self, slot: usize, code: i32) -> Story {
        self.running(slot).ended(slot, code)
    }

    fn ended(self, slot: usize, code: i32) -> Story {
        let exit = Exit { code, oom_killed: false, message: None };
        self.apply(Change::Exited { slot: Slot(slot), id: "id".into(), exit })
    }

    fn probed(self, slot: usize, kind: ProbeKind, ok: bool) -> Story {
        self.apply(Change::Probed { slot: Slot(slot), id: "id".into(), kind, ok })
    }

    /// What is only to be remembered, is.
    fn settled(mut self) -> Story {
        let remembered = |action: Action| match action {
            Action::Initialized => Some(Change::Initialized),
            Action::Doom(doom) => Some(Change::Doomed(doom)),
            Action::End(until) => Some(Change::Ending(until)),
            _ => None,
        };
        while let Some(change) = plan(&self.pod, &self.observed, self.now).actions.into_iter().find_map(remembered) {
            self.observed.apply(change, self.now);
        }
        self
    }

    /// What is to be done in the world.
    fn plan(&self) -> Plan {
        let settled = Story { pod: self.pod.clone(), observed: self.observed.clone(), now: self.now }.settled();
        plan(&settled.pod, &settled.observed, settled.now)
    }

    fn stopping(self, slot: usize, until: Timestamp, step: StopStep) -> Story {
        let stopping = Stopping { why: StopReason::PodEnds, until, step };
        self.apply(Change::Stopping { slot: Slot(slot), stopping })
    }

    /// The slots that are to be started now.
    fn starts(&self) -> Vec<usize> {
        let started = |action: &Action| match action {
            Action::Start(slot) => Some(slot.0),
            _ => None,
        };
        self.plan().actions.iter().filter_map(started).collect()
    }

    fn later(mut self, seconds: u64) -> Story {
        self.now = after(self.now, std::time::Duration::from_secs(seconds));
        self
    }

    fn deleted(mut self, grace: u64) -> Story {
        self.pod.metadata.deletion_timestamp = Some(self.at(grace).into());
        self
    }

    fn at(&self, seconds: u64) -> Timestamp {
        after(self.now, std::time::Duration::from_secs(seconds))
    }
}
