//! One Pod's task: looks, decides, does, reports, and waits for the next thing to happen.

mod acting;
mod hooking;
mod outcomes;
mod probing;
mod reporting;
mod resizing;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{AbortHandle, BoxFuture};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use tokio::sync::watch;

use self::reporting::Reports;
use super::context::Context;
use super::doom::Doom;
use super::hooks::Hook;
use super::observed::Observed;
use super::place::Place;
use super::plan::plan;
use super::probe::{Answer, ProbeKind};
use super::reach::Reach;
use super::report::Reported;
use super::resize::Amounts;
use super::siblings::Siblings;
use super::slot::Slot;
use super::spec::PodExt;
use super::start::{Failure, Live};
use super::table::{ContainerBrief, PodView};
use crate::ip::PodIp;
use crate::runtime::Exit;
use crate::volumes::PodVolumes;

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
    Abandoned,
    /// All volumes are there.
    Mounted,
    /// It has stored too much; how.
    Exceeded(String),
    Exited(Slot, String, Exit),
    Hooked(Slot, String, Hook, Result<(), String>),
    ProbeDue(Slot, String, ProbeKind),
    Probed(Slot, String, ProbeKind, Answer),
    Told,
    Reported(Box<PodStatus>, Reported),
    Deleted(Reported),
}

pub(crate) struct Worker {
    context: Arc<Context>,
    desired: watch::Receiver<Desired>,
    image_news: watch::Receiver<()>,
    /// Where others of this node have it ended.
    doom: watch::Sender<Option<Doom>>,
    doomed: watch::Receiver<Option<Doom>>,
    pod: Arc<Pod>,
    observed: Observed,
    place: Option<Place>,
    live: HashMap<Slot, Live>,
    starting: HashMap<Slot, AbortHandle>,
    pending: FuturesUnordered<BoxFuture<'static, Done>>,
    reports: Reports,
    siblings: Arc<Siblings>,
    volumes: Arc<PodVolumes>,
    /// Ends what keeps the volumes, while they are kept.
    tending: Option<AbortHandle>,
}

impl Worker {
    pub(crate) fn new(
        context: Arc<Context>,
        desired: watch::Receiver<Desired>,
        mut observed: Observed,
        ip: Option<PodIp>,
    ) -> Worker {
        let pod = desired.borrow().pod.clone();
        let place = ip.and_then(|ip| take_again(&context, &pod, ip));
        observed.ip = place.as_ref().map(Place::address).or(observed.ip);
        let reports = Reports::new(pod.status.clone().unwrap_or_default());
        let volumes = Arc::new(PodVolumes::new(context.clone(), &pod));
        let (doom, doomed) = watch::channel(None);
        Worker {
            volumes,
            tending: None,
            image_news: context.image_news.clone(),
            doom,
            doomed,
            context,
            desired,
            pod,
            observed,
            place,
            live: HashMap::new(),
            starting: HashMap::new(),
            pending: FuturesUnordered::new(),
            reports,
            siblings: Arc::default(),
        }
    }

    /// Runs until the Pod is gone from the API and from this node.
    pub(crate) async fn run(mut self) {
        loop {
            self.look();
            let now = self.context.clock.now();
            let plan = plan(&self.pod, &self.observed, now);
            if !plan.actions.is_empty() {
                plan.actions.into_iter().for_each(|action| self.execute(action, now));
                continue;
            }
            if self.observed.gone && !self.observed.is_alive() {
                return self.clean_up().await;
            }
            let report_at = self.report(now);
            self.publish();
            let wake = [plan.wake, report_at, self.next_wording(now)].into_iter().flatten().min();
            self.wait(wake).await;
        }
    }

    /// Takes in the newest of what the API said.
    fn look(&mut self) {
        let desired = self.desired.borrow_and_update().clone();
        self.pod = desired.pod;
        self.observed.gone = desired.gone;
        self.reports.overruled(&self.pod);
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
            Ok(()) = self.doomed.changed() => self.take_doom(),
            () = self.context.clock.until(wake) => {}
        }
    }

    fn publish(&self) {
        let containers = self.pod.containers().enumerate().filter_map(|(n, container)| {
            let live = self.live.get(&Slot(n));
            Some(ContainerBrief::new(&container.name, self.observed.get(Slot(n))?, live))
        });
        let network = self.place.as_ref().map(Place::network);
        self.context.table.put(PodView {
            pod: self.pod.clone(),
            containers: containers.collect(),
            allocated: Amounts::allocated(&self.pod, &self.observed),
            volumes: Arc::downgrade(&self.volumes),
            network,
            address: self.place.as_ref().map(Place::address),
            doom: self.doom.clone(),
        });
    }

    async fn clean_up(self) {
        self.context.table.remove(&self.pod);
        let (context, pod) = (self.context.clone(), self.pod.reference());
        let name = pod.name.clone();
        // Nothing is written to its volumes any more.
        drop(self);
        let remove = move || context.dirs.remove(&pod).and(context.memory.remove(&pod.uid));
        match tokio::task::spawn_blocking(remove).await {
            Ok(Err(error)) => tracing::warn!(pod = name, %error, "the Pod's files could not be removed"),
            _ => tracing::debug!(pod = name, "the Pod is gone"),
        }
    }

    fn container_name(&self, slot: Slot) -> String {
        self.pod.container(slot).map(|container| container.name.clone()).unwrap_or_default()
    }

    /// How to reach a container that runs.
    fn reach(&self, slot: Slot) -> Option<Reach> {
        let spec = self.pod.container(slot)?.into_owned();
        let container = self.live.get(&slot)?.container.clone();
        let network = self.place.as_ref()?.network();
        Some(Reach { network, ip: self.observed.ip?, spec: spec.into(), container })
    }

    fn later(&mut self, delay: Duration, done: Done) {
        self.pending.push(tokio::time::sleep(delay).map(move |()| done).boxed());
    }
}

/// The place that the Pod had before the node was started again.
fn take_again(context: &Context, pod: &Pod, ip: PodIp) -> Option<Place> {
    let place = Place::take(&*context.networks, pod, &context.names, ip);
    place.inspect_err(|error| tracing::warn!(pod = pod.reference().name, %error, "a Pod cannot keep its address")).ok()
}
