//! Tells what happens to Pods, as Events.

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::mpsc;

use super::slot::Role;
use super::spec::PodExt;
use crate::errors::said;

/// Events that wait to be written; past that they are dropped, since telling must never hold up doing.
const QUEUE: usize = 8192;
/// Events that are remembered, so that one that comes again is counted and not written anew.
const REMEMBERED: usize = 4096;

/// Whether an Event tells of something that went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Normal,
    Warning,
}

/// Takes Events and returns at once.
#[derive(Clone)]
pub(crate) struct Recorder {
    queue: mpsc::Sender<Told>,
}

struct Told {
    about: ObjectReference,
    kind: Kind,
    reason: &'static str,
    message: String,
    at: Timestamp,
}

impl Recorder {
    /// A recorder, and the writer that has to run for it.
    pub(crate) fn new(client: Client, node: String) -> (Recorder, EventWriter) {
        let (queue, told) = mpsc::channel(QUEUE);
        (Recorder { queue }, EventWriter { client, node, told, written: HashMap::new() })
    }

    pub(crate) fn pod(&self, pod: &Pod, kind: Kind, reason: &'static str, message: impl Into<String>) {
        self.tell(reference(pod, None), kind, reason, message.into());
    }

    pub(crate) fn container(
        &self,
        pod: &Pod,
        name: &str,
        kind: Kind,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        let list = match pod.slot(name).map(|slot| pod.role(slot)) {
            Some(Role::Init | Role::Sidecar) => "initContainers",
            Some(Role::Ephemeral) => "ephemeralContainers",
            Some(Role::Main) | None => "containers",
        };
        self.tell(reference(pod, Some(format!("spec.{list}{{{name}}}"))), kind, reason, message.into());
    }

    fn tell(&self, about: ObjectReference, kind: Kind, reason: &'static str, message: String) {
        let told = Told { about, kind, reason, message, at: Timestamp::now() };
        if self.queue.try_send(told).is_err() {
            tracing::debug!(reason, "an Event was dropped: too many wait");
        }
    }
}

/// Writes Events, one after the other.
pub(crate) struct EventWriter {
    client: Client,
    node: String,
    told: mpsc::Receiver<Told>,
    written: HashMap<Key, Written>,
}

type Key = (String, String, Kind, &'static str, String);

struct Written {
    name: String,
    count: i32,
}

impl EventWriter {
    /// Writes until every recorder is gone.
    pub(crate) async fn run(mut self) {
        while let Some(told) = self.told.recv().await {
            if let Err(error) = self.write(told).await {
                tracing::debug!(error = said(&error), "an Event could not be written");
            }
        }
    }

    async fn write(&mut self, told: Told) -> Result<(), kube::Error> {
        let namespace = told.about.namespace.clone().unwrap_or_default();
        let events: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let key = (text(&told.about.uid), text(&told.about.field_path), told.kind, told.reason, told.message.clone());
        if let Some(written) = self.written.get_mut(&key) {
            written.count += 1;
            let again = json!({"count": written.count, "lastTimestamp": Time(told.at)});
            match events.patch(&written.name, &PatchParams::default(), &Patch::Merge(again)).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                other => return other.map(drop),
            }
        }
        if self.written.len() >= REMEMBERED {
            self.written.clear();
        }
        let name = format!("{}.{:x}", text(&told.about.name), told.at.as_nanosecond());
        self.written.insert(key, Written { name: name.clone(), count: 1 });
        events.create(&PostParams::default(), &event(told, name, namespace, &self.node)).await.map(drop)
    }
}

fn event(told: Told, name: String, namespace: String, node: &str) -> Event {
    let kind = match told.kind {
        Kind::Normal => "Normal",
        Kind::Warning => "Warning",
    };
    Event {
        metadata: ObjectMeta { name: Some(name), namespace: Some(namespace), ..Default::default() },
        involved_object: told.about,
        type_: Some(kind.to_owned()),
        reason: Some(told.reason.to_owned()),
        message: Some(told.message),
        first_timestamp: Some(Time(told.at)),
        last_timestamp: Some(Time(told.at)),
        count: Some(1),
        source: Some(EventSource { component: Some("kubelet".to_owned()), host: Some(node.to_owned()) }),
        reporting_component: Some("kubelet".to_owned()),
        reporting_instance: Some(node.to_owned()),
        ..Event::default()
    }
}

fn reference(pod: &Pod, field_path: Option<String>) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
        resource_version: pod.metadata.resource_version.clone(),
        field_path,
    }
}
