//! Looks at what containers and the machine use, in regular steps, so that rates can be told.

mod rate;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use parking_lot::Mutex;

pub(crate) use self::rate::{Rate, Window};
use crate::clock::Clock;
use crate::machine::MachineUse;
use crate::pods::{ContainerBrief, PodTable, PodView};

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(5);

/// What was seen last. Cloning shares it.
#[derive(Clone, Default)]
pub(crate) struct Samples(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    containers: HashMap<Key, Rate>,
    node: Rate,
}

/// The UID of a Pod, the name of a container, and the number of its run.
type Key = (String, String, i32);

impl Samples {
    pub(crate) fn container(&self, view: &PodView, brief: &ContainerBrief) -> Option<Window> {
        self.0.lock().containers.get(&key(view, brief))?.window()
    }

    pub(crate) fn node(&self) -> Option<Window> {
        self.0.lock().node.window()
    }

    /// Takes a look at everything; what is not there any more is forgotten.
    fn look(&self, views: &[Arc<PodView>], machine: &MachineUse, now: Timestamp) {
        let mut inner = self.0.lock();
        if let Some(cpu) = machine.cpu {
            inner.node.look(now, cpu);
        }
        let mut before = std::mem::take(&mut inner.containers);
        for view in views {
            for (brief, running) in view.containers.iter().filter_map(|brief| Some((brief, brief.running.as_ref()?))) {
                let key = key(view, brief);
                let started = || Rate::since(started_at(&view.pod, &brief.name));
                let mut rate = before.remove(&key).unwrap_or_else(started);
                rate.look(now, running.usage().cpu);
                inner.containers.insert(key, rate);
            }
        }
    }
}

fn key(view: &PodView, brief: &ContainerBrief) -> Key {
    (view.pod.metadata.uid.clone().unwrap_or_default(), brief.name.clone(), brief.run.unwrap_or_default())
}

/// When the container's present run began, as far as the API knows.
pub(crate) fn started_at(pod: &Pod, container: &str) -> Option<Timestamp> {
    let status = pod.status.as_ref()?;
    let lists = [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses];
    let mut all = lists.into_iter().flatten().flatten();
    let running = all.find(|status| status.name == container)?.state.as_ref()?.running.as_ref()?;
    running.started_at.as_ref().map(|time| time.0)
}

/// Looks again and again. Ends never.
pub(crate) async fn keep(samples: Samples, table: PodTable, data_dir: PathBuf, clock: Clock) {
    loop {
        samples.look(&table.all(), &MachineUse::read(&data_dir), clock.now());
        tokio::time::sleep(PERIOD).await;
    }
}
