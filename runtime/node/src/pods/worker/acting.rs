//! Carries a plan out.

use std::time::Duration;

use futures::FutureExt;
use futures::future::abortable;
use jiff::Timestamp;

use super::{Done, Worker};
use crate::clock::after;
use crate::pods::events::Kind;
use crate::pods::happened::Change;
use crate::pods::place::Place;
use crate::pods::plan::{Action, StopReason};
use crate::pods::spec::Slot;
use crate::pods::start::Job;
use crate::pods::stop::stop;

/// Between looks whether an address is free again.
const ADDRESS: Duration = Duration::from_secs(1);

impl Worker {
    pub(super) fn execute(&mut self, action: Action, now: Timestamp) {
        match action {
            Action::AssignIp => self.assign_ip(now),
            Action::Start(slot) => self.start(slot, now),
            Action::Abandon(slot) => {
                if let Some(start) = self.starting.remove(&slot) {
                    start.abort();
                }
                self.observed.apply(Change::Abandoned(slot), now);
            }
            Action::Stop { slot, until, why } => self.stop(slot, until, why, now),
        }
    }

    fn assign_ip(&mut self, now: Timestamp) {
        match self.take_place() {
            Ok(place) => {
                self.observed.apply(Change::IpAssigned(place.address()), now);
                self.place = Some(place);
            }
            Err(why) => {
                let message = format!("Failed to create pod sandbox: {why}");
                self.context.recorder.pod(&self.pod, Kind::Warning, "FailedCreatePodSandBox", message);
                self.observed.apply(Change::NoIp { retry_at: after(now, ADDRESS) }, now);
            }
        }
    }

    /// The next address comes from elsewhere in the range, so that one which cannot be joined yet is not met again at once.
    fn take_place(&self) -> Result<Place, String> {
        let ip = self.context.ips.assign().ok_or("no address is left in the node's podCIDR")?;
        let address = ip.address();
        Place::take(&*self.context.networks, &self.pod, ip)
            .map_err(|error| format!("cannot join the network at {address}: {error}"))
    }

    fn start(&mut self, slot: Slot, now: Timestamp) {
        let (Some(view), Some(place)) = (self.observed.get(slot), &self.place) else { return };
        let run = view.next_restart();
        let (ip, network) = (place.address(), place.network());
        let job = Job { context: self.context.clone(), pod: self.pod.clone(), slot, run, ip, network };
        let (start, handle) = abortable(job.run());
        self.observed.apply(Change::Starting(slot), now);
        self.starting.insert(slot, handle);
        let start = start.map(move |result| match result {
            Ok(result) => Done::Started(slot, result),
            Err(_) => Done::Abandoned,
        });
        self.pending.push(start.boxed());
    }

    fn stop(&mut self, slot: Slot, until: Timestamp, why: StopReason, now: Timestamp) {
        let name = self.container_name(slot);
        let again = self.observed.get(slot).and_then(|view| view.running()).is_some_and(|run| run.stopping.is_some());
        self.observed.apply(Change::Stopping { slot, until }, now);
        let Some(live) = self.live.get(&slot) else { return };
        if !again {
            let message = match why {
                StopReason::PodEnds => format!("Stopping container {name}"),
                StopReason::Unhealthy => format!("Container {name} failed liveness probe, will be restarted"),
                StopReason::ImageChanged => format!("Container {name} definition changed, will be restarted"),
            };
            self.context.recorder.container(&self.pod, &name, Kind::Normal, "Killing", message);
        }
        let drains = why == StopReason::PodEnds && !again;
        let stopping = stop(live.container.clone(), self.context.clock, until, drains);
        self.pending.push(stopping.map(|()| Done::Told).boxed());
    }
}
