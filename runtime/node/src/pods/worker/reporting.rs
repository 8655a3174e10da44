//! Reports what is true, once it is worth a write.

use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition, PodStatus};

use super::{Done, Worker};
use crate::clock::after;
use crate::errors::said;
use crate::pods::phase::phase;
use crate::pods::report::{self, Reported};
use crate::pods::spec::PodExt;
use crate::pods::status;

/// While a container is being started a report is held back this long, so that a Pod whose containers start at once is
/// reported once.
const HOLD_BACK: Duration = Duration::from_millis(300);
/// Between tries to reach the API.
const RETRY: Duration = Duration::from_secs(1);

/// How far the API knows what we know.
#[derive(Default)]
pub(super) struct Reports {
    /// What was reported last.
    reported: PodStatus,
    /// A report is under way.
    busy: bool,
    deleted: bool,
    differs_since: Option<Timestamp>,
    not_before: Option<Timestamp>,
}

impl Worker {
    /// Reports what differs from the last report, or deletes the Pod once nothing does and nothing runs; answers when to
    /// come again.
    pub(super) fn report(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.observed.gone || self.reports.busy || self.reports.deleted {
            return None;
        }
        if let Some(moment) = self.reports.not_before.filter(|moment| *moment > now) {
            return Some(moment);
        }
        self.release();
        let before = &self.reports.reported;
        let status = status::status(&self.pod, &self.observed, before, self.context.host_ip, now);
        if self.observed.ended.is_some() || status == *before {
            self.reports.differs_since = None;
            self.delete_if_over();
            return None;
        }
        let since = *self.reports.differs_since.get_or_insert(now);
        if !self.starting.is_empty() && now < after(since, HOLD_BACK) {
            return Some(after(since, HOLD_BACK));
        }
        self.reports.busy = true;
        let (client, pod, before) = (self.context.client.clone(), self.pod.clone(), before.clone());
        let report = async move {
            let outcome = report::report(client, &pod, &before, &status).await;
            Done::Reported(Box::new(status), outcome)
        };
        self.pending.push(report.boxed());
        None
    }

    fn delete_if_over(&mut self) {
        if self.pod.deletion().is_none() || self.observed.is_alive() {
            return;
        }
        self.reports.busy = true;
        let (client, pod) = (self.context.client.clone(), self.pod.clone());
        self.pending.push(async move { Done::Deleted(report::delete(client, &pod).await) }.boxed());
    }

    /// A Pod that has ended keeps its address in its status only, and nothing in its volumes.
    fn release(&mut self) {
        if self.observed.is_alive() || !phase(&self.pod, &self.observed).is_terminal() {
            return;
        }
        self.place = None;
        if let Some(tending) = self.tending.take() {
            tending.abort();
            self.pending.push(self.volumes.clone().remove().map(|()| Done::Told).boxed());
        }
    }

    /// When the report changes by the passing of time alone.
    pub(super) fn next_wording(&self, now: Timestamp) -> Option<Timestamp> {
        self.observed.containers.iter().filter_map(|view| status::next_change(view, now)).min()
    }
}

impl Reports {
    /// Nothing was reported but what the API knows already.
    pub(super) fn new(reported: PodStatus) -> Reports {
        Reports { reported, ..Reports::default() }
    }

    /// While nothing was heard of the node, the cluster has said that the Pod is not ready: it is reported again how it is.
    /// What we say of a Pod that is not ready has a reason.
    pub(super) fn overruled(&mut self, pod: &Pod) {
        let held = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let is_ours = |condition: &PodCondition| condition.status == "True" || condition.reason.is_some();
        if self.busy || held.filter(|condition| condition.type_ == "Ready").all(is_ours) {
            return;
        }
        let reported = self.reported.conditions.iter_mut().flatten();
        reported.filter(|condition| condition.type_ == "Ready").for_each(|ready| ready.status = "False".to_owned());
    }

    pub(super) fn reported(&mut self, status: PodStatus, outcome: Reported, now: Timestamp) {
        self.busy = false;
        self.differs_since = None;
        match outcome {
            Reported::Accepted | Reported::Gone => self.reported = status,
            Reported::Failed(error) => {
                tracing::warn!(error = said(&error), "a Pod's status could not be reported; it is tried again");
                self.not_before = Some(after(now, RETRY));
            }
        }
    }

    pub(super) fn deleted(&mut self, outcome: Reported, now: Timestamp) {
        self.busy = false;
        match outcome {
            Reported::Accepted | Reported::Gone => self.deleted = true,
            Reported::Failed(error) => {
                tracing::warn!(error = said(&error), "an ended Pod could not be deleted; it is tried again");
                self.not_before = Some(after(now, RETRY));
            }
        }
    }
}
