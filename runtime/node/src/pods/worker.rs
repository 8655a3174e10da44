//! One Pod's task: looks, decides, does, reports, and waits for the next thing to happen.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{AbortHandle, BoxFuture, abortable};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use tokio::sync::watch;

use super::context::Context;
use super::events::Kind;
use super::happened::Change;
use super::observed::{NotStarted, Observed, State};
use super::phase::phase;
use super::plan::{Action, StopReason, crash_backoff, plan};
use super::probe::{self, ProbeKind, ProbeState};
use super::report::{self, Reported};
use super::spec::{PodExt, Slot};
use super::start::{Failure, Job, Live};
use super::status;
use super::stop::stop;
use super::table::{ContainerBrief, PodView};
use crate::clock::after;
use crate::ip::PodIp;
use crate::runtime::Exit;

/// While a container is being started a report is held back this long, so that a Pod whose containers start at once is
/// reported once.
const HOLD_BACK: Duration = Duration::from_millis(300);
/// Between tries to reach the API.
const RETRY: Duration = Duration::from_secs(1);

/// What a Pod should be: the newest that the API said.
#[derive(Clone)]
pub(crate) struct Desired {
    pub(crate) pod: Arc<Pod>,
    /// It is not in the API any more.
    pub(crate) gone: bool,
}

/// Something that the worker waited for.
enum Done {
    Started(Slot, Result<Live, Failure>),
    Abandoned(Slot),
    Exited(Slot, String, Exit),
    ProbeDue(Slot, String, ProbeKind),
    Probed(Slot, String, ProbeKind, Result<(), String>),
    Told,
    Reported(Box<PodStatus>, Reported),
    Deleted(Reported),
}

pub(crate) struct Worker {
    context: Arc<Context>,
    desired: watch::Receiver<Desired>,
    image_news: watch::Receiver<()>,
    pod: Arc<Pod>,
    observed: Observed,
    ip: Option<PodIp>,
    live: HashMap<Slot, Live>,
    starting: HashMap<Slot, AbortHandle>,
    pending: FuturesUnordered<BoxFuture<'static, Done>>,
    reports: Reports,
}

/// How far the API knows what we know.
struct Reports {
    reported: PodStatus,
    busy: bool,
    deleted: bool,
    differs_since: Option<Timestamp>,
    not_before: Option<Timestamp>,
}

impl Worker {
    pub(crate) fn new(
        context: Arc<Context>,
        desired: watch::Receiver<Desired>,
        mut observed: Observed,
        ip: Option<PodIp>,
    ) -> Worker {
        let pod = desired.borrow().pod.clone();
        observed.ip = ip.as_ref().map(|ip| IpAddr::V4(ip.address())).or(observed.ip);
        let reports = Reports {
            reported: pod.status.clone().unwrap_or_default(),
            busy: false,
            deleted: false,
            differs_since: None,
            not_before: None,
        };
        Worker {
            image_news: context.image_news.clone(),
            context,
            desired,
            pod,
            observed,
            ip,
            live: HashMap::new(),
            starting: HashMap::new(),
            pending: FuturesUnordered::new(),
            reports,
        }
    }

    /// Runs until the Pod is gone from the API and from this node.
    pub(crate) async fn run(mut self) {
        loop {
            self.look();
            let now = self.context.clock.now();
            let plan = plan(&self.pod, &self.observed, now);
            let again = !plan.actions.is_empty();
            for action in plan.actions {
                self.execute(action, now);
            }
            if self.observed.gone && !self.observed.is_alive() {
                return self.clean_up().await;
            }
            let report_at = self.report(now);
            self.publish();
            if again && self.pending.is_empty() {
                continue;
            }
            let wake = [plan.wake, report_at, self.next_wording(now)].into_iter().flatten().min();
            self.wait(wake).await;
        }
    }

    /// Takes in the newest of what the API said.
    fn look(&mut self) {
        let desired = self.desired.borrow_and_update().clone();
        self.pod = desired.pod;
        self.observed.gone = desired.gone;
        self.observed.containers.resize_with(self.pod.containers().count(), Default::default);
    }

    async fn wait(&mut self, wake: Option<Timestamp>) {
        tokio::select! {
            changed = self.desired.changed() => {
                if changed.is_err() {
                    // The manager is gone, and the node with it: its owner drops this task.
                    std::future::pending::<()>().await;
                }
            }
            Some(done) = self.pending.next() => self.take(done),
            Ok(()) = self.image_news.changed() => self.retry_images(),
            () = self.context.clock.until(wake) => {}
        }
    }

    fn execute(&mut self, action: Action, now: Timestamp) {
        match action {
            Action::AssignIp => self.assign_ip(now),
            Action::Start(slot) => self.start(slot, now),
            Action::Abandon(slot) => {
                if let Some(start) = self.starting.remove(&slot) {
                    start.abort();
                }
            }
            Action::Stop { slot, until, why } => self.stop(slot, until, why, now),
        }
    }

    fn assign_ip(&mut self, now: Timestamp) {
        match self.context.ips.assign() {
            Some(ip) => {
                let address = IpAddr::V4(ip.address());
                self.ip = Some(ip);
                self.observed.apply(Change::IpAssigned(address), now);
            }
            None => {
                let message = "Failed to create pod sandbox: no address is left in the node's podCIDR";
                self.context.recorder.pod(&self.pod, Kind::Warning, "FailedCreatePodSandBox", message);
                self.later(RETRY, Done::Told);
            }
        }
    }

    fn start(&mut self, slot: Slot, now: Timestamp) {
        let (Some(view), Some(ip)) = (self.observed.get(slot), self.observed.ip) else { return };
        let run = view.next_restart();
        let job = Job { context: self.context.clone(), pod: self.pod.clone(), slot, run, ip };
        let (start, handle) = abortable(job.run());
        self.observed.apply(Change::Starting(slot), now);
        self.starting.insert(slot, handle);
        let start = start.map(move |result| match result {
            Ok(result) => Done::Started(slot, result),
            Err(_) => Done::Abandoned(slot),
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

    fn take(&mut self, done: Done) {
        let now = self.context.clock.now();
        match done {
            Done::Started(slot, Ok(live)) => self.started(slot, live, now),
            Done::Started(slot, Err(failure)) => self.not_started(slot, failure, now),
            Done::Abandoned(slot) => {
                if let Some(view) = self.observed.containers.get_mut(slot.0) {
                    view.state = State::Waiting(None);
                }
            }
            Done::Exited(slot, id, exit) => self.exited(slot, id, exit, now),
            Done::ProbeDue(slot, id, kind) => self.probe(slot, id, kind),
            Done::Probed(slot, id, kind, result) => self.probed(slot, id, kind, result, now),
            Done::Told => {}
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
    fn retry_images(&mut self) {
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

    /// Reports what differs from the last report, or deletes the Pod once nothing does and nothing runs; answers when to
    /// come again.
    fn report(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.observed.gone || self.reports.busy || self.reports.deleted {
            return None;
        }
        if let Some(moment) = self.reports.not_before.filter(|moment| *moment > now) {
            return Some(moment);
        }
        self.release_ip();
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

    /// A Pod that has ended keeps its address in its status only.
    fn release_ip(&mut self) {
        if !self.observed.is_alive() && phase(&self.pod, &self.observed).is_terminal() {
            self.ip = None;
        }
    }

    fn publish(&self) {
        let containers = self.pod.containers().enumerate().filter_map(|(n, container)| {
            let running = self.live.get(&Slot(n)).map(|live| live.container.clone());
            Some(ContainerBrief::new(&container.name, self.observed.get(Slot(n))?, running))
        });
        self.context.table.put(PodView { pod: self.pod.clone(), containers: containers.collect() });
    }

    async fn clean_up(self) {
        self.context.table.remove(&self.pod);
        let (dirs, pod) = (self.context.dirs.clone(), self.pod.reference());
        let name = pod.name.clone();
        match tokio::task::spawn_blocking(move || dirs.remove(&pod)).await {
            Ok(Err(error)) => tracing::warn!(pod = name, %error, "the Pod's files could not be removed"),
            _ => tracing::debug!(pod = name, "the Pod is gone"),
        }
    }

    fn next_wording(&self, now: Timestamp) -> Option<Timestamp> {
        self.observed.containers.iter().filter_map(|view| status::next_change(view, now)).min()
    }

    fn container_name(&self, slot: Slot) -> String {
        self.pod.container(slot).map(|container| container.name.clone()).unwrap_or_default()
    }

    fn later(&mut self, delay: Duration, done: Done) {
        self.pending.push(tokio::time::sleep(delay).map(move |()| done).boxed());
    }
}

impl Reports {
    fn reported(&mut self, status: PodStatus, outcome: Reported, now: Timestamp) {
        self.busy = false;
        self.differs_since = None;
        match outcome {
            Reported::Accepted | Reported::Gone => self.reported = status,
            Reported::Failed(error) => {
                tracing::warn!(%error, "a Pod's status could not be reported; it is tried again");
                self.not_before = Some(after(now, RETRY));
            }
        }
    }

    fn deleted(&mut self, outcome: Reported, now: Timestamp) {
        self.busy = false;
        match outcome {
            Reported::Accepted | Reported::Gone => self.deleted = true,
            Reported::Failed(error) => {
                tracing::warn!(%error, "an ended Pod could not be deleted; it is tried again");
                self.not_before = Some(after(now, RETRY));
            }
        }
    }
}
