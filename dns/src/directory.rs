use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use carob_reconcile::{Change as Told, Informers, Watched};
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use parking_lot::RwLock;

use crate::objects::Named;
use crate::zone::{Answer, Kind, Zone};

/// The zone as the API has told it last. While the API is away, that goes on to be the answer.
pub struct Directory {
    zone: RwLock<Zone>,
    complete: AtomicBool,
}

impl Directory {
    /// A directory that knows nothing yet, and says so.
    pub fn new(zone: Zone) -> Arc<Directory> {
        Arc::new(Directory { zone: RwLock::new(zone), complete: AtomicBool::new(false) })
    }

    /// Follows what `informers` learn, for as long as they live; returns once all has been listed.
    pub async fn follow(self: &Arc<Self>, informers: &Informers) {
        let kinds = (informers.of::<Namespace>(), informers.of::<EndpointSlice>(), informers.of::<Service>());
        kinds.0.on_change(self.listener());
        kinds.1.on_change(self.listener());
        kinds.2.on_change(self.listener());
        tokio::join!(kinds.0.synced(), kinds.1.synced(), kinds.2.synced());
        self.complete.store(true, Ordering::Release);
    }

    /// What the zone says of `name`; [`None`] while it is not known what there is. See [`Zone::look_up`].
    pub fn look_up(&self, name: &str, kind: Kind, turn: usize) -> Option<Answer> {
        let complete = self.complete.load(Ordering::Acquire);
        Some(self.zone.read().look_up(name, kind, turn)).filter(|answer| complete || *answer == Answer::NotOurs)
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
