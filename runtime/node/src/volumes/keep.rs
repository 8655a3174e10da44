//! Sets volumes up, keeps them up to date, and looks how much they hold.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::watch;

use super::{Failed, PodVolumes, empty_dir, usage};
use crate::clock::after;
use crate::pods::{Desired, EventKind, PodExt};

/// Between tries to set volumes up, as a kubelet's: doubled from the first to the longest. A changed object is not waited
/// out.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(122);
/// Between two looks how much is stored, as a kubelet's.
const MEASURE: Duration = Duration::from_secs(10);

impl PodVolumes {
    /// Ends when all volumes are there; says in Events why they are not.
    pub(crate) async fn mount(self: Arc<Self>, desired: watch::Receiver<Desired>) {
        let mut wait = FIRST;
        loop {
            let pod = desired.borrow().pod.clone();
            let mut look = self.look(&pod).await;
            if look.failed.is_empty() {
                return;
            }
            self.tell(&pod, &look.failed);
            tokio::select! {
                () = look.changed() => {}
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(LONGEST),
            }
        }
    }

    /// Keeps what is mounted as it should be, and within its bounds. It ends never.
    pub(crate) async fn tend(self: Arc<Self>, desired: watch::Receiver<Desired>) {
        tokio::join!(self.keep(desired.clone()), self.measure(desired));
    }

    async fn keep(&self, mut desired: watch::Receiver<Desired>) {
        let mut told = Vec::new();
        while self.is_live() {
            let pod = desired.borrow_and_update().pod.clone();
            let mut look = self.look(&pod).await;
            let words: Vec<String> = look.failed.iter().map(|failed| failed.error.to_string()).collect();
            if words != told {
                self.tell(&pod, &look.failed);
                told = words;
            }
            let retry = (!look.failed.is_empty()).then(|| after(self.context.clock.now(), LONGEST));
            let due = [look.renew_at, retry].into_iter().flatten().min();
            tokio::select! {
                () = look.changed() => {}
                () = self.context.clock.until(due) => {}
                changed = desired.changed() => if changed.is_err() { break },
            }
        }
        std::future::pending().await
    }

    fn is_live(&self) -> bool {
        self.known.lock().mounted.values().any(|volume| volume.live)
    }

    fn tell(&self, pod: &Pod, failed: &[Failed]) {
        for Failed { volume, error } in failed {
            let message = format!("MountVolume.SetUp failed for volume {volume:?} : {error}");
            self.context.recorder.pod(pod, EventKind::Warning, "FailedMount", message);
        }
    }

    /// Finds what was written past a bound otherwise than through a guest's files, such as logs.
    async fn measure(self: &Arc<Self>, desired: watch::Receiver<Desired>) {
        loop {
            let pod = desired.borrow().pod.clone();
            if !self.is_bound(&pod) {
                return std::future::pending().await;
            }
            tokio::time::sleep(MEASURE).await;
            let own = self.clone();
            if tokio::task::spawn_blocking(move || own.check(&pod)).await.is_err() {
                return;
            }
        }
    }

    fn is_bound(&self, pod: &Pod) -> bool {
        let known = self.known.lock();
        self.bound.is_some()
            || !known.bounds.is_empty()
            || known.memory.is_some()
            || pod.containers().any(|one| empty_dir::limit(&one).is_some())
    }

    fn check(&self, pod: &Pod) {
        let mut logs = 0;
        for container in pod.containers() {
            let used = usage::of(&self.context.dirs.logs(&self.pod, &container.name)).bytes;
            logs += used;
            if let Some(limit) = empty_dir::limit(&container).filter(|limit| used > *limit) {
                let message = empty_dir::container_message(&container, limit);
                self.exceeded.send_if_modified(|exceeded| exceeded.is_none() && exceeded.replace(message).is_none());
            }
        }
        if let Some(bound) = &self.bound {
            bound.check(logs);
        }
        let bounds = self.known.lock().bounds.clone();
        bounds.iter().for_each(|bound| bound.check(0));
        let memory = self.known.lock().memory.clone();
        if let Some(memory) = memory {
            memory.look();
        }
    }
}
