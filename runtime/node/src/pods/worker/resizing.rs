//! Gives containers other resources while they run.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;

use super::Worker;
use crate::clock::after;
use crate::pods::amounts::limits;
use crate::pods::events::Kind;
use crate::pods::happened::Change;
use crate::pods::resize::{Amounts, Unfulfilled, Why, differs, must_restart, room};
use crate::pods::slot::Slot;
use crate::pods::spec::PodExt;

/// Between two tries: others may go, and a container's use may go down.
const RETRY: Duration = Duration::from_secs(10);

impl Worker {
    /// Gives what the Pod wishes, or says why not.
    pub(super) fn resize(&mut self, now: Timestamp) {
        let room = room(Amounts::of_pod(&self.pod), self.others(), Amounts::of_node(&self.context.allocatable));
        let outcome = room.and_then(|()| self.give(now));
        let unfulfilled = outcome.err().map(|(why, message)| Unfulfilled {
            why,
            message,
            generation: self.pod.metadata.generation,
            retry_at: (why != Why::Infeasible).then(|| after(now, RETRY)),
        });
        self.tell_resize(unfulfilled.as_ref());
        self.observed.apply(Change::Resized(unfulfilled), now);
    }

    /// What is set aside for the other Pods of which something runs here.
    fn others(&self) -> Amounts {
        let all = self.context.table.all();
        let others = all.iter().filter(|view| view.pod.metadata.uid != self.pod.metadata.uid && view.is_alive());
        others.map(|view| view.allocated).fold(Amounts::default(), Amounts::and)
    }

    /// Sets aside what each container wishes for: those that do not run now are started with it.
    fn allocate(&mut self, now: Timestamp) {
        let containers: Vec<_> = self.pod.containers().map(Cow::into_owned).enumerate().collect();
        for (n, container) in containers {
            let allocated = self.observed.get(Slot(n)).and_then(|view| view.allocated.as_ref());
            if allocated.is_some_and(|allocated| differs(allocated, &container)) {
                let allocated = container.resources.unwrap_or_default();
                self.observed.apply(Change::Allocated { slot: Slot(n), allocated }, now);
            }
        }
    }

    /// Container by container. One that has to be started anew for it is stopped next.
    fn give(&mut self, now: Timestamp) -> Result<(), (Why, String)> {
        self.allocate(now);
        let mut slots: Vec<Slot> = self.live.keys().copied().collect();
        slots.sort_unstable();
        for slot in slots {
            let running = self.observed.get(slot).and_then(|view| view.running());
            let (Some(running), Some(container)) = (running, self.pod.container(slot).map(Cow::into_owned)) else {
                continue;
            };
            if !differs(&running.given, &container) {
                continue;
            }
            if must_restart(&running.given, &container) {
                self.observed.apply(Change::MustRestart(slot), now);
                continue;
            }
            if let Some(live) = self.live.get(&slot) {
                live.container.resize(limits(&self.pod, &container)).map_err(|message| (Why::InProgress, message))?;
            }
            let given = container.resources.unwrap_or_default();
            self.observed.apply(Change::Given { slot, given }, now);
        }
        self.volumes.limit_memory(&self.pod);
        Ok(())
    }

    /// Tells what is new.
    fn tell_resize(&self, unfulfilled: Option<&Unfulfilled>) {
        let before = self.observed.unfulfilled.as_ref();
        let said = |unfulfilled: &Unfulfilled| (unfulfilled.why, unfulfilled.message.clone());
        if before.map(said) == unfulfilled.map(said) && unfulfilled.is_some() {
            return;
        }
        let tell = |kind, reason, message: &str| self.context.recorder.pod(&self.pod, kind, reason, message);
        match unfulfilled {
            None => tell(Kind::Normal, "ResizeCompleted", "Pod resize completed"),
            Some(Unfulfilled { why: Why::Infeasible, message, .. }) => {
                tell(Kind::Warning, "ResizeInfeasible", message);
            }
            Some(Unfulfilled { why: Why::Deferred, message, .. }) => tell(Kind::Warning, "ResizeDeferred", message),
            Some(Unfulfilled { why: Why::InProgress, message, .. }) => tell(Kind::Warning, "ResizeError", message),
        }
    }
}
