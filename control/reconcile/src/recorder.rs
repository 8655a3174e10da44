use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::correlate::{Correlator, Subject, Verdict};

/// Events waiting to be written, at most; past it they are dropped: an Event is a courtesy, never a duty.
const WAITING: usize = 4096;

/// Whether the event is in the way of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// As it should be.
    Normal,
    /// Somebody may want to look.
    Warning,
}

impl EventType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Says what happened to an object, as Events. Never waits and never fails. Cloning is cheap.
#[derive(Clone)]
pub struct Recorder {
    sender: mpsc::Sender<Record>,
}

struct Record {
    object: ObjectReference,
    type_: EventType,
    reason: &'static str,
    message: String,
}

/// The other end of a [`Recorder`]: writes the Events. Run it in an owned task.
pub struct Writer {
    client: Client,
    component: &'static str,
    records: mpsc::Receiver<Record>,
    correlator: Correlator,
}

/// A recorder for one component (`deployment-controller`), and the writer that must run for it.
pub fn recorder(client: Client, component: &'static str) -> (Recorder, Writer) {
    let (sender, records) = mpsc::channel(WAITING);
    (Recorder { sender }, Writer { client, component, records, correlator: Correlator::default() })
}

impl Recorder {
    /// Records that something happened to `object`.
    pub fn event<K>(&self, object: &K, type_: EventType, reason: &'static str, message: impl Into<String>)
    where
        K: Resource<DynamicType = ()>,
    {
        let record = Record { object: object.object_ref(&()), type_, reason, message: message.into() };
        if self.sender.try_send(record).is_err() {
            tracing::debug!(reason, "too many events are waiting; one is dropped");
        }
    }
}

impl Writer {
    /// Writes Events until every [`Recorder`] is dropped.
    pub async fn run(mut self) {
        while let Some(record) = self.records.recv().await {
            self.write(record).await;
        }
    }

    async fn write(&mut self, record: Record) {
        let mut subject = Subject {
            object: record.object.uid.clone().unwrap_or_default(),
            reason: record.reason.to_owned(),
            type_: record.type_.as_str(),
            message: record.message.clone(),
        };
        let result = match self.correlator.judge(&mut subject, Instant::now()) {
            Verdict::Create { message } => self.create(record, subject, message).await,
            Verdict::Repeat { name, count, message } => {
                let patch = json!({ "count": count, "message": message, "lastTimestamp": Time(Timestamp::now()) });
                self.repeat(&record, &subject, &name, patch).await
            }
            Verdict::Drop => Ok(()),
        };
        if let Err(error) = result {
            tracing::debug!(component = self.component, %error, "an event could not be written");
        }
    }

    async fn create(&mut self, record: Record, subject: Subject, message: String) -> kube::Result<()> {
        let event = self.event(record, message);
        let name = event.metadata.name.clone().unwrap_or_default();
        self.api(event.metadata.namespace.as_deref()).create(&PostParams::default(), &event).await?;
        self.correlator.written(subject, name, Instant::now());
        Ok(())
    }

    async fn repeat(&mut self, record: &Record, subject: &Subject, name: &str, patch: Value) -> kube::Result<()> {
        let api = self.api(namespace(&record.object));
        let result = api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        if let Err(kube::Error::Api(status)) = &result
            && status.code == 404
        {
            self.correlator.lost(subject);
        }
        result.map(|_| ())
    }

    fn event(&self, record: Record, message: String) -> Event {
        let now = Timestamp::now();
        let object = record.object.name.clone().unwrap_or_default();
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{object}.{:x}", now.as_nanosecond())),
                namespace: namespace(&record.object).map(str::to_owned),
                ..ObjectMeta::default()
            },
            reason: Some(record.reason.to_owned()),
            message: Some(message),
            type_: Some(record.type_.as_str().to_owned()),
            count: Some(1),
            first_timestamp: Some(Time(now)),
            last_timestamp: Some(Time(now)),
            source: Some(EventSource { component: Some(self.component.to_owned()), host: None }),
            reporting_component: Some(self.component.to_owned()),
            involved_object: record.object,
            ..Event::default()
        }
    }

    fn api(&self, namespace: Option<&str>) -> Api<Event> {
        Api::namespaced(self.client.clone(), namespace.unwrap_or("default"))
    }
}

/// Events about cluster-scoped objects stand in `default`.
fn namespace(object: &ObjectReference) -> Option<&str> {
    Some(object.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or("default"))
}
