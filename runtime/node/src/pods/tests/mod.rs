mod plans;
mod statuses;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::happened::Change;
use super::observed::{NotStarted, Observed};
use super::probe::ProbeState;
use super::spec::{PodExt, Slot};
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
        let probes = ProbeState::new(self.pod.container(Slot(slot)).unwrap());
        let started = Change::Started {
            slot: Slot(slot),
            id: "id".into(),
            image: "i".into(),
            image_id: "sha256:1".into(),
            probes,
        };
        self.starting(slot).apply(started)
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
