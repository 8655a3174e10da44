use std::sync::Arc;
use std::time::Duration;

use carob_reconcile::{Change as Told, Informers, Watched};
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::objects::Named;
use crate::zone::{Answer, Kind, Zone};

/// How long a Pod's question waits for what the API says: longer than a node takes to start, shorter than most clients wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// The zone as the API has told it last. While the API is away, that goes on to be the answer.
pub(crate) struct Directory {
    zone: RwLock<Zone>,
    complete: watch::Sender<bool>,
}

impl Directory {
    /// A directory that knows nothing yet, and says so.
    pub(crate) fn new(zone: Zone) -> Arc<Directory> {
        Arc::new(Directory { zone: RwLock::new(zone), complete: watch::Sender::new(false) })
    }

    /// A directory of all there is.
    pub(crate) fn complete_with(zone: Zone) -> Arc<Directory> {
        Arc::new(Directory { zone: RwLock::new(zone), complete: watch::Sender::new(true) })
    }

    /// Follows what `informers` learn, for as long as they live; returns once all has been listed.
    pub(crate) async fn follow(self: &Arc<Self>, informers: &Informers) {
        let kinds = (informers.of::<Namespace>(), informers.of::<EndpointSlice>(), informers.of::<Service>());
        kinds.0.on_change(self.listener());
        kinds.1.on_change(self.listener());
        kinds.2.on_change(self.listener());
        tokio::join!(kinds.0.synced(), kinds.1.synced(), kinds.2.synced());
        self.complete.send_replace(true);
    }

    /// Ends when all has been listed; [`None`] if that takes too long.
    pub(crate) async fn complete(&self) -> Option<()> {
        let mut complete = self.complete.subscribe();
        timeout(PATIENCE, complete.wait_for(|complete| *complete)).await.ok()?.ok().map(drop)
    }

    /// What the zone says of `name`; [`None`] while it is not known what there is. See [`Zone::look_up`].
    pub(crate) fn look_up(&self, name: &str, kind: Kind, turn: usize) -> Option<Answer> {
        let complete = *self.complete.borrow();
        Some(self.zone.read().look_up(name, kind, turn)).filter(|answer| complete || *answer == Answer::NotOurs)
    }

    /// As after [`Directory::follow`].
    #[cfg(test)]
    pub(crate) fn set_complete(&self) {
        self.complete.send_replace(true);
    }

    fn listener<K: Watched + Named>(self: &Arc<Self>) -> impl Fn(&Told<K>) + Send + Sync + 'static {
        let directory = self.clone();
        move |told| {
            let change = match (&told.new, &told.old) {
                (Some(object), _) => object.present(),
                (None, Some(object)) => object.gone(),
                (None, None) => return,
            };
            directory.zone.write().apply(change);
        }
    }
}
