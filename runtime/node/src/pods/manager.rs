//! Gives every Pod of this node its worker.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::context::Context;
use super::doom::Doom;
use super::events::Kind;
use super::recover;
use super::slot::keep_places;
use super::spec::PodExt;
use super::worker::{Desired, Worker};
use crate::eviction;
use crate::ip::PodIp;

/// Follows the Pods that are bound to this node. Ends never; dropping it ends every worker, and with them every container.
pub(crate) async fn run(context: Arc<Context>) {
    let config = watcher::Config::default().fields(&format!("spec.nodeName={}", context.node_name));
    let pods: Api<Pod> = Api::all(context.client.clone());
    let mut events = watcher(pods, config).default_backoff().boxed();
    let mut manager = Manager { context, workers: HashMap::new(), tasks: JoinSet::new(), listed: Vec::new() };
    loop {
        tokio::select! {
            Some(event) = events.next() => match event {
                Ok(event) => manager.take(event).await,
                Err(error) => tracing::warn!(%error, "the watch of this node's Pods failed; it is tried again"),
            },
            Some(ended) = manager.tasks.join_next() => match ended {
                Ok(uid) => drop(manager.workers.remove(&uid)),
                Err(error) => tracing::error!(%error, "a Pod's worker ended badly"),
            },
        }
    }
}

struct Manager {
    context: Arc<Context>,
    workers: HashMap<String, watch::Sender<Desired>>,
    tasks: JoinSet<String>,
    /// The Pods of a list that is under way.
    listed: Vec<Pod>,
}

impl Manager {
    async fn take(&mut self, event: Event<Pod>) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(pod) => self.listed.push(pod),
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                self.relist(listed).await;
            }
            Event::Apply(pod) => {
                let ip = self.claim_ip(&pod);
                self.update(pod, ip);
            }
            Event::Delete(pod) => {
                self.gone(&pod.reference().uid);
            }
        }
    }

    async fn relist(&mut self, listed: Vec<Pod>) {
        let uids: HashSet<String> = listed.iter().map(|pod| pod.reference().uid).collect();
        let vanished: Vec<String> = self.workers.keys().filter(|uid| !uids.contains(*uid)).cloned().collect();
        for uid in &vanished {
            self.gone(uid);
        }
        self.remove_orphans(uids.into_iter().chain(vanished).collect()).await;
        // Addresses that Pods have already, before any is given to a new Pod.
        let claimed: Vec<_> = listed.into_iter().map(|pod| (self.claim_ip(&pod), pod)).collect();
        for (ip, pod) in claimed {
            self.update(pod, ip);
        }
    }

    /// Removes what is left of Pods that were deleted while the node was away.
    async fn remove_orphans(&self, known: HashSet<String>) {
        let context = self.context.clone();
        let remove = move || {
            let is_known = |uid: &str| known.contains(uid);
            context.dirs.remove_all_but(is_known).and(context.memory.remove_all_but(is_known))
        };
        let removed = tokio::task::spawn_blocking(remove).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(%error, "files of Pods that are gone could not be removed");
        }
    }

    fn claim_ip(&self, pod: &Pod) -> Option<PodIp> {
        if self.workers.contains_key(&pod.reference().uid) {
            return None;
        }
        let status = pod.status.as_ref()?;
        if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
            return None;
        }
        let address: Ipv4Addr = status.pod_ip.as_ref()?.parse().ok()?;
        self.context.ips.claim(address)
    }

    fn update(&mut self, mut pod: Pod, ip: Option<PodIp>) {
        // Nobody here reads them, and they are a good part of a Pod.
        pod.metadata.managed_fields = None;
        let uid = pod.reference().uid;
        match self.workers.get(&uid) {
            Some(worker) => {
                if let (Some(new), Some(old)) = (&mut pod.spec, &worker.borrow().pod.spec) {
                    keep_places(new, old);
                }
                worker.send_replace(Desired { pod: Arc::new(pod), gone: false });
            }
            None => self.spawn(uid, Arc::new(pod), ip),
        }
    }

    fn spawn(&mut self, uid: String, pod: Arc<Pod>, ip: Option<PodIp>) {
        let mut observed = recover::observed(&pod, self.context.clock.now());
        observed.doom = self.refusal(&pod).filter(|_| observed.ended.is_none());
        let (desired, receiver) = watch::channel(Desired { pod, gone: false });
        let worker = Worker::new(self.context.clone(), receiver, observed, ip);
        self.workers.insert(uid.clone(), desired);
        self.tasks.spawn(async move {
            worker.run().await;
            uid
        });
    }

    /// A node under pressure does not take every Pod; those that it has taken stay.
    fn refusal(&self, pod: &Pod) -> Option<Doom> {
        let is_taken = pod.status.as_ref().is_some_and(|status| status.start_time.is_some());
        if is_taken || pod.deletion().is_some() {
            return None;
        }
        let message = eviction::refusal(pod, *self.context.pressure.borrow())?;
        self.context.recorder.pod(pod, Kind::Warning, "Evicted", message.as_str());
        Some(Doom::Refused(message))
    }

    fn gone(&self, uid: &str) {
        if let Some(worker) = self.workers.get(uid) {
            worker.send_modify(|desired| desired.gone = true);
        }
    }
}
