//! How events of a watch look on the wire.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    Call,
    body::api_version,
    respond::{metadata_only, table_of},
};
use crate::{
    cache::{Change, Entry, Kind},
    request::Form,
    status::Status,
};

/// Formats the events of one watch.
pub(super) struct Format {
    call: Call,
    /// Columns are sent once.
    columns_sent: bool,
}

impl Format {
    pub(super) fn new(call: Call) -> Self {
        Self { call, columns_sent: false }
    }

    /// A change; watchers of whole objects share its bytes.
    pub(super) fn change(&mut self, change: &Change, kind: Kind) -> Bytes {
        match self.call.form {
            Form::Object => change.frame(kind),
            _ => self.formed(kind.name(), change.shown(kind).object()),
        }
    }

    /// An object that was there before the watch began.
    pub(super) fn initial(&mut self, entry: &Entry, out: &mut Vec<u8>) {
        if self.call.form == Form::Object {
            out.extend_from_slice(b"{\"type\":\"ADDED\",\"object\":");
            out.extend_from_slice(&entry.bytes);
            out.extend_from_slice(b"}\n");
        } else {
            out.extend_from_slice(&self.formed(Kind::Added.name(), entry.object()));
        }
    }

    /// Tells how far the watch has come; `initial_end`: that all objects there were have been sent.
    pub(super) fn bookmark(&self, revision: u64, initial_end: bool) -> Bytes {
        let mut metadata = json!({ "resourceVersion": revision.to_string() });
        if initial_end {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        } else {
            metadata["creationTimestamp"] = Value::Null;
        }
        let resource = self.call.served.resource;
        let (kind, version) = match self.call.form {
            Form::Object => (resource.kind, api_version(resource.group, resource.version)),
            Form::Table => ("Table", "meta.k8s.io/v1".to_owned()),
            Form::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned()),
        };
        let mut object = json!({ "kind": kind, "apiVersion": version, "metadata": metadata });
        if self.call.form == Form::Table {
            object["columnDefinitions"] = json!([]);
            object["rows"] = json!([]);
        }
        event("BOOKMARK", &object)
    }

    /// The last thing a watch says.
    pub(super) fn error(&self, status: &Status) -> Bytes {
        event("ERROR", &status.to_json())
    }

    fn formed(&mut self, kind: &str, object: Value) -> Bytes {
        if self.call.form == Form::Metadata {
            return event(kind, &metadata_only(object));
        }
        let version = object["metadata"]["resourceVersion"].clone();
        match table_of(&self.call, &[object]) {
            Ok(mut table) => {
                table["metadata"] = json!({ "resourceVersion": version });
                if std::mem::replace(&mut self.columns_sent, true) {
                    table["columnDefinitions"] = json!([]);
                }
                event(kind, &table)
            }
            Err(status) => self.error(&status),
        }
    }
}

fn event(kind: &str, object: &Value) -> Bytes {
    let mut line = json!({ "type": kind, "object": object }).to_string();
    line.push('\n');
    line.into()
}
