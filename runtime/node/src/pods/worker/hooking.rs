//! Runs the hooks of containers.

use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;

use super::{Done, Worker};
use crate::pods::events::Kind;
use crate::pods::happened::Change;
use crate::pods::hooks::{self, Hook};
use crate::pods::slot::Slot;
use crate::pods::spec::PodExt;

impl Worker {
    /// Begins a hook of a running container; it is given up after `limit`, which is no failure.
    pub(super) fn run_hook(&mut self, slot: Slot, hook: Hook, limit: Option<Duration>) {
        let (Some(reach), Some(live)) = (self.reach(slot), self.live.get(&slot)) else { return };
        let Some(handler) = hook.of(&reach.spec).cloned() else { return };
        let id = live.id.clone();
        let (recorder, pod) = (self.context.recorder.clone(), self.pod.clone());
        let run = async move {
            let run = hooks::run(&reach, &handler, &pod, &recorder);
            let result = match limit {
                Some(limit) => tokio::time::timeout(limit, run).await.unwrap_or(Ok(())),
                None => run.await,
            };
            Done::Hooked(slot, id, hook, result)
        };
        self.pending.push(run.boxed());
    }

    pub(super) fn hooked(&mut self, slot: Slot, id: String, hook: Hook, result: Result<(), String>, now: Timestamp) {
        if self.observed.running_mut(slot, &id).is_none() {
            return;
        }
        if let Err(error) = &result {
            self.tell_hook_failure(slot, hook, error);
        }
        match hook {
            Hook::PostStart => {
                let ok = result.is_ok();
                self.observed.apply(Change::PostStarted { slot, id, result }, now);
                if ok {
                    self.begin_probes(slot, now);
                }
            }
            Hook::PreStop => drop(self.observed.apply(Change::PreStopped { slot, id }, now)),
        }
    }

    fn tell_hook_failure(&self, slot: Slot, hook: Hook, error: &str) {
        let name = self.container_name(slot);
        let (reason, message) = match hook {
            Hook::PostStart => ("FailedPostStartHook", "PostStartHook failed"),
            Hook::PreStop => ("FailedPreStopHook", "PreStopHook failed"),
        };
        tracing::debug!(pod = self.pod.reference().name, container = name, error, "{message}");
        self.context.recorder.container(&self.pod, &name, Kind::Warning, reason, message);
    }
}
