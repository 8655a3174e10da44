//! Carries a plan out.

use std::time::Duration;

use futures::FutureExt;
use futures::future::abortable;
use jiff::Timestamp;

use super::{Done, Worker};
use crate::clock::{after, between};
use crate::pods::doom::Doom;
use crate::pods::events::Kind;
use crate::pods::happened::Change;
use crate::pods::hooks::Hook;
use crate::pods::observed::{StopReason, StopStep, Stopping, Volumes};
use crate::pods::place::Place;
use crate::pods::plan::Action;
use crate::pods::restart::restarts_unhealthy;
use crate::pods::slot::{Role, Slot};
use crate::pods::spec::PodExt;
use crate::pods::start::Job;
use crate::pods::stop::stop;

/// Between looks whether an address is free again.
const ADDRESS: Duration = Duration::from_secs(1);

impl Worker {
    pub(super) fn execute(&mut self, action: Action, now: Timestamp) {
        match action {
            Action::AssignIp => self.assign_ip(now),
            Action::Initialized => drop(self.observed.apply(Change::Initialized, now)),
            Action::Doom(doom) => self.doom(doom, now),
            Action::End(until) => drop(self.observed.apply(Change::Ending(until), now)),
            Action::Mount => self.mount(now),
            Action::Resize => self.resize(now),
            Action::Start(slot) => self.start(slot, now),
            Action::Abandon(slot) => {
                if let Some(start) = self.starting.remove(&slot) {
                    start.abort();
                }
                self.observed.apply(Change::Abandoned(slot), now);
            }
            Action::PreStop { slot, until, why } => self.pre_stop(slot, until, why, now),
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
        Place::take(&*self.context.networks, &self.pod, &self.context.names, ip)
            .map_err(|error| format!("cannot join the network at {address}: {error}"))
    }

    fn mount(&mut self, now: Timestamp) {
        self.observed.apply(Change::Volumes(Volumes::Mounting), now);
        let mount = self.volumes.clone().mount(self.desired.clone());
        self.pending.push(mount.map(|()| Done::Mounted).boxed());
    }

    fn start(&mut self, slot: Slot, now: Timestamp) {
        let (Some(view), Some(place)) = (self.observed.get(slot), &self.place) else { return };
        let run = view.next_restart();
        let job = Job {
            context: self.context.clone(),
            volumes: self.volumes.clone(),
            siblings: self.siblings.clone(),
            pod: self.pod.clone(),
            slot,
            run,
            allocated: view.allocated.clone(),
            ip: place.address(),
            network: place.network(),
        };
        let (start, handle) = abortable(job.run());
        self.observed.apply(Change::Starting(slot), now);
        self.starting.insert(slot, handle);
        let start = start.map(move |result| match result {
            Ok(result) => Done::Started(slot, result),
            Err(_) => Done::Abandoned,
        });
        self.pending.push(start.boxed());
    }

    /// Somebody else of this node has decided that the Pod must end; the first who does gives the reason.
    pub(super) fn take_doom(&mut self) {
        let doom = self.doomed.borrow_and_update().clone();
        if let Some(doom) = doom.filter(|_| self.observed.doom.is_none() && self.observed.ended.is_none()) {
            self.doom(doom, self.context.clock.now());
        }
    }

    pub(super) fn doom(&mut self, doom: Doom, now: Timestamp) {
        let (reason, message) = doom.words();
        self.context.recorder.pod(&self.pod, doom.kind(), reason, message);
        self.observed.apply(Change::Doomed(doom), now);
    }

    fn pre_stop(&mut self, slot: Slot, until: Timestamp, why: StopReason, now: Timestamp) {
        self.tell_stop(slot, why);
        self.observed.apply(Change::Stopping { slot, stopping: Stopping { why, until, step: StopStep::PreStop } }, now);
        self.run_hook(slot, Hook::PreStop, Some(between(now, until)));
    }

    fn stop(&mut self, slot: Slot, until: Timestamp, why: StopReason, now: Timestamp) {
        let before = self.observed.get(slot).and_then(|view| view.running()?.stopping);
        if before.is_none() {
            self.tell_stop(slot, why);
        }
        self.observed.apply(Change::Stopping { slot, stopping: Stopping { why, until, step: StopStep::Told } }, now);
        let Some(live) = self.live.get(&slot) else { return };
        let told = before.is_some_and(|stopping| stopping.step == StopStep::Told);
        let drains = why == StopReason::PodEnds && !told;
        let stopping = stop(live.container.clone(), self.context.clock, until, drains);
        self.pending.push(stopping.map(|()| Done::Told).boxed());
    }

    fn tell_stop(&self, slot: Slot, why: StopReason) {
        let name = self.container_name(slot);
        let kind = if self.pod.role(slot) == Role::Sidecar { "Init container" } else { "Container" };
        let message = match why {
            StopReason::PodEnds => format!("Stopping container {name}"),
            StopReason::Unhealthy(probe) => {
                let then = if restarts_unhealthy(&self.pod, slot) { ", will be restarted" } else { "" };
                format!("{kind} {name} failed {} probe{then}", probe.name().to_lowercase())
            }
            StopReason::ImageChanged => format!("{kind} {name} definition changed, will be restarted"),
            StopReason::Resized => format!("{kind} {name} resize requires restart"),
            StopReason::PostStartFailed => "FailedPostStartHook".to_owned(),
        };
        self.context.recorder.container(&self.pod, &name, Kind::Normal, "Killing", message);
    }
}
