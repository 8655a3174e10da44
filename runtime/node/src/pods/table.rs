//! What the kubelet's API may look at.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Weak};

use carob_net::Network;
use k8s_openapi::api::core::v1::Pod;
use parking_lot::RwLock;
use tokio::sync::watch;

use super::amounts::request;
use super::doom::Doom;
use super::observed::{ContainerView, State};
use super::resize::Amounts;
use super::spec::PodExt;
use super::start::Live;
use crate::console::Console;
use crate::quantity;
use crate::runtime::Container;
use crate::volumes::PodVolumes;

/// A Pod as its worker last saw it.
pub(crate) struct PodView {
    pub(crate) pod: Arc<Pod>,
    pub(crate) containers: Vec<ContainerBrief>,
    /// What it stores, while it is here.
    pub(crate) volumes: Weak<PodVolumes>,
    /// Has its worker end it.
    pub(crate) doom: watch::Sender<Option<Doom>>,
    /// What the node has set aside for it.
    pub(crate) allocated: Amounts,
    /// Its network, while it has an address.
    pub(crate) network: Option<Arc<dyn Network>>,
    pub(crate) address: Option<IpAddr>,
}

impl PodView {
    pub(crate) fn priority(&self) -> i32 {
        self.pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or(0)
    }

    /// What a container asks for, in whole units.
    pub(crate) fn requested(&self, container: &str, resource: &str) -> u64 {
        let mut containers = self.pod.containers().filter(|spec| spec.name == container);
        containers.next().and_then(|spec| request(&spec, resource).and_then(quantity::units)).unwrap_or(0)
    }

    /// What its volumes in memory hold.
    pub(crate) fn volume_memory(&self) -> u64 {
        self.volumes.upgrade().map_or(0, |volumes| volumes.memory())
    }

    /// Whether something of it runs.
    pub(crate) fn is_alive(&self) -> bool {
        self.containers.iter().any(|brief| brief.running.is_some())
    }
}

pub(crate) struct ContainerBrief {
    pub(crate) name: String,
    /// The number of its newest run; `None` if it never ran.
    pub(crate) run: Option<i32>,
    /// The run before that, if there was one.
    pub(crate) previous: Option<i32>,
    pub(crate) running: Option<Arc<dyn Container>>,
    /// Its standard streams, while it runs.
    pub(crate) console: Option<Arc<Console>>,
}

impl ContainerBrief {
    pub(super) fn new(name: &str, view: &ContainerView, live: Option<&Live>) -> ContainerBrief {
        let has_run = matches!(view.state, State::Running(_)) || view.latest_run().is_some();
        ContainerBrief {
            name: name.to_owned(),
            run: has_run.then_some(view.restarts),
            previous: (view.restarts > 0).then(|| view.restarts - 1),
            running: live.map(|live| live.container.clone()),
            console: live.map(|live| live.console.clone()),
        }
    }
}

/// Namespace and name.
type Key = (String, String);

/// The Pods of this node, by namespace and name. Cloning shares it.
#[derive(Clone, Default)]
pub(crate) struct PodTable {
    pods: Arc<RwLock<HashMap<Key, Arc<PodView>>>>,
}

impl PodTable {
    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<Arc<PodView>> {
        self.pods.read().get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<PodView>> {
        self.pods.read().values().cloned().collect()
    }

    pub(super) fn put(&self, view: PodView) {
        if let Some(key) = key(&view.pod) {
            self.pods.write().insert(key, Arc::new(view));
        }
    }

    /// Takes the Pod out, unless another one has its name by now.
    pub(super) fn remove(&self, pod: &Pod) {
        let Some(key) = key(pod) else { return };
        let mut pods = self.pods.write();
        if pods.get(&key).is_some_and(|view| view.pod.metadata.uid == pod.metadata.uid) {
            pods.remove(&key);
        }
    }
}

fn key(pod: &Pod) -> Option<Key> {
    Some((pod.metadata.namespace.clone()?, pod.metadata.name.clone()?))
}
