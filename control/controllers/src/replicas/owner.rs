use carob_reconcile::{Informer, Watched, controller_of};
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{PodTemplateSpec, ReplicationController};
use kube::core::Selector;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::replicas::status::Status;

/// An object that wants so many Pods of one template.
pub(crate) trait ReplicaOwner: Watched + Serialize {
    /// The controller's name, for its identity, its Events and the log.
    const CONTROLLER: &'static str;

    fn desired(&self) -> i32;
    fn min_ready_seconds(&self) -> i32;
    /// `None` where it is empty or malformed: it then selects nothing.
    fn selector(&self) -> Option<Selector>;
    fn template(&self) -> Option<&PodTemplateSpec>;
    fn status(&self) -> Status;

    /// The uids of all owners whose Pods do the same work: on a crowded node, one of theirs goes first.
    fn related(&self, all: &Informer<Self>) -> Vec<String>;
}

impl ReplicaOwner for ReplicaSet {
    const CONTROLLER: &'static str = "replicaset-controller";

    fn desired(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }

    fn min_ready_seconds(&self) -> i32 {
        self.spec.min_ready_seconds.unwrap_or(0)
    }

    fn selector(&self) -> Option<Selector> {
        let selector: Selector = self.spec.selector.clone().try_into().ok()?;
        (!selector.selects_all()).then_some(selector)
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.template.as_ref()
    }

    fn status(&self) -> Status {
        common(self.status.as_ref())
    }

    fn related(&self, all: &Informer<Self>) -> Vec<String> {
        match controller_of(&self.metadata) {
            Some(owner) => all.owned_by(&owner.uid).iter().filter_map(|set| set.metadata.uid.clone()).collect(),
            None => self.metadata.uid.iter().cloned().collect(),
        }
    }
}

impl ReplicaOwner for ReplicationController {
    const CONTROLLER: &'static str = "replication-controller";

    fn desired(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
    }

    fn min_ready_seconds(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0)
    }

    fn selector(&self) -> Option<Selector> {
        let labels = self.spec.as_ref()?.selector.clone().filter(|labels| !labels.is_empty())?;
        Some(labels.into_iter().collect())
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref()?.template.as_ref()
    }

    fn status(&self) -> Status {
        common(self.status.as_ref())
    }

    fn related(&self, _all: &Informer<Self>) -> Vec<String> {
        self.metadata.uid.iter().cloned().collect()
    }
}

/// The two kinds' statuses are the same on the wire.
fn common<S: Serialize>(status: Option<&S>) -> Status {
    fn convert<T: DeserializeOwned + Default>(value: serde_json::Value) -> T {
        serde_json::from_value(value).unwrap_or_default()
    }
    status.and_then(|status| serde_json::to_value(status).ok()).map(convert).unwrap_or_default()
}
