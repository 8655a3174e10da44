use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::pressure::{Hysteresis, Pressure};
use super::ranking::{Candidate, first};
use super::thresholds::{Condition, Shortage, Thresholds};
use super::words::{self, Share};
use crate::machine::MachineUse;
use crate::pods::{ContainerBrief, Context, Doom, PodExt, PodView};
use crate::volumes::Stored;

/// Between two looks, as the kubelet's.
const PERIOD: Duration = Duration::from_secs(10);
/// Between two looks while something is short: what one eviction freed is seen before the next is decided.
const HURRY: Duration = Duration::from_secs(1);
/// How long an evicted Pod's containers may take to end before another Pod has to go.
const PATIENCE: Duration = Duration::from_secs(30);

/// Watches what is left of the machine, and ends Pods when that is too little.
pub(crate) struct Evictor {
    pub(crate) context: Arc<Context>,
    pub(crate) data_dir: PathBuf,
    pub(crate) thresholds: Thresholds,
    pub(crate) hysteresis: Hysteresis,
    /// What the node is short of.
    pub(crate) pressure: watch::Sender<Pressure>,
}

/// A Pod, and what its containers have of what is short.
type Victim = (Arc<PodView>, Vec<Share>);

impl Evictor {
    /// Looks again and again. Ends never.
    pub(crate) async fn run(mut self) {
        loop {
            let shortages = self.look();
            // No guest is a process. Memory comes first: nothing goes on without.
            let shortage = shortages.iter().find(|shortage| shortage.signal.condition() != Condition::Pid);
            if let Some(shortage) = shortage
                && !self.reclaim(shortage).await
            {
                self.evict(shortage).await;
            }
            tokio::time::sleep(if shortage.is_some() { HURRY } else { PERIOD }).await;
        }
    }

    /// What is short now; tells the pressure.
    fn look(&mut self) -> Vec<Shortage> {
        let shortages = self.thresholds.met(&MachineUse::read(&self.data_dir));
        let pressure = self.hysteresis.look(&shortages, self.context.clock.now());
        self.pressure.send_if_modified(|before| std::mem::replace(before, pressure) != pressure);
        shortages
    }

    /// Removes what nobody needs: on a full disk, what runs that have ended have printed. Whether there was anything.
    ///
    /// Images stay. There is no registry yet from which they would come back.
    async fn reclaim(&self, shortage: &Shortage) -> bool {
        if shortage.signal.condition() != Condition::Disk {
            return false;
        }
        let context = self.context.clone();
        let removed = tokio::task::spawn_blocking(move || {
            let mut removed = false;
            for view in context.table.all() {
                let pod = view.pod.reference();
                for (brief, run) in view.containers.iter().filter_map(|brief| Some((brief, brief.previous?))) {
                    removed |= context.dirs.has_log(&pod, &brief.name, run)
                        && context.dirs.remove_log(&pod, &brief.name, run).is_ok();
                }
            }
            removed
        });
        removed.await.unwrap_or(false)
    }

    /// Ends the Pod that has to go first, and waits until nothing of it runs.
    async fn evict(&self, shortage: &Shortage) {
        let signal = shortage.signal.name();
        let Some(Candidate { pod: (view, shares), .. }) = first(self.candidates(shortage).await) else {
            tracing::debug!(signal, "the node runs short, and there is no Pod to evict");
            return;
        };
        let meta = &view.pod.metadata;
        tracing::warn!(pod = meta.name, namespace = meta.namespace, signal, "the node runs short: a Pod is evicted");
        view.doom.send_replace(Some(Doom::Evicted(words::evicted(shortage, &shares))));
        // One that does not end in time is no reason to wait for ever.
        let _ = tokio::time::timeout(PATIENCE, self.ended(&view)).await;
    }

    async fn ended(&self, view: &PodView) {
        while self.alive().iter().any(|other| other.pod.metadata.uid == view.pod.metadata.uid) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn alive(&self) -> Vec<Arc<PodView>> {
        let mut views = self.context.table.all();
        views.retain(|view| view.is_alive());
        views
    }

    async fn candidates(&self, shortage: &Shortage) -> Vec<Candidate<Victim>> {
        let mut candidates = Vec::new();
        for view in self.alive() {
            candidates.push(match shortage.signal.condition() {
                Condition::Memory => of_memory(view),
                _ => Self::of_disk(view).await,
            });
        }
        candidates
    }

    /// What a Pod has written stands in its folders, which take a while to look through.
    async fn of_disk(view: Arc<PodView>) -> Candidate<Victim> {
        let looked = view.clone();
        let stored = tokio::task::spawn_blocking(move || Stored::look(&looked).ephemeral().bytes).await;
        let request = view.containers.iter().map(|brief| view.requested(&brief.name, "ephemeral-storage")).sum();
        let priority = view.priority();
        Candidate { pod: (view, Vec::new()), priority, request, usage: stored.unwrap_or(0) }
    }
}

/// What its volumes in memory hold counts too.
fn of_memory(view: Arc<PodView>) -> Candidate<Victim> {
    let share = |brief: &ContainerBrief| {
        let usage = brief.running.as_ref()?.usage().memory_bytes;
        Some(Share { container: brief.name.clone(), usage, request: view.requested(&brief.name, "memory") })
    };
    let shares: Vec<Share> = view.containers.iter().filter_map(share).collect();
    let (usage, request) =
        shares.iter().fold((view.volume_memory(), 0), |sum, share| (sum.0 + share.usage, sum.1 + share.request));
    let priority = view.priority();
    Candidate { pod: (view, shares), priority, request, usage }
}
