//! One revision of an object, as readers need it.

use std::sync::Arc;

use bytes::Bytes;
use carob_resources::Resource;
use serde_json::Value;

use crate::codec;

/// An object at a revision: encoded, with what selectors look at parsed.
#[derive(Debug)]
pub(crate) struct Entry {
    /// `namespace/name`, or `name` where there are no namespaces: the end of the store's key.
    pub(crate) key: Box<str>,
    /// The revision at which the object came to look like this.
    pub(crate) revision: u64,
    /// The JSON that is served, `resourceVersion` included.
    pub(crate) bytes: Bytes,
    selectable: Selectable,
}

/// What selectors look at in an object, beside its key.
#[derive(Clone, Debug)]
pub(crate) struct Selectable {
    labels: Vec<(Box<str>, Box<str>)>,
    fields: Vec<(&'static str, String)>,
}

impl Selectable {
    pub(crate) fn of(resource: &Resource, object: &Value) -> Self {
        let labels = carob_resources::meta::labels(object).map(|(key, value)| (key.into(), value.into()));
        Self { labels: labels.collect(), fields: resource.strategy.selectable_fields(object) }
    }

    pub(super) fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(name, _)| **name == *key).map(|(_, value)| &**value)
    }

    fn field(&self, path: &str) -> Option<&str> {
        self.fields.iter().find(|(name, _)| *name == path).map(|(_, value)| value.as_str())
    }
}

impl Entry {
    pub(super) fn new(key: &str, revision: u64, bytes: Bytes, selectable: Selectable) -> Self {
        Self { key: key.into(), revision, bytes, selectable }
    }

    pub(crate) fn namespace(&self) -> &str {
        self.key.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    pub(crate) fn name(&self) -> &str {
        self.key.split_once('/').map_or(&*self.key, |(_, name)| name)
    }

    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.selectable.label(key)
    }

    pub(crate) fn field(&self, path: &str) -> Option<&str> {
        match path {
            "metadata.name" => Some(self.name()),
            "metadata.namespace" => Some(self.namespace()),
            _ => self.selectable.field(path),
        }
    }

    /// The object, parsed.
    pub(crate) fn object(&self) -> Value {
        serde_json::from_slice(&self.bytes).expect("the cache holds only what was encoded here")
    }

    /// The same object, said to be of another revision: how a deleted one is told of.
    pub(crate) fn at(&self, revision: u64, wrap: impl FnOnce(Vec<u8>) -> Bytes) -> Arc<Self> {
        Arc::new(Self {
            key: self.key.clone(),
            revision,
            bytes: wrap(codec::splice(&codec::unsplice(&self.bytes), revision)),
            selectable: self.selectable.clone(),
        })
    }
}

/// The JSON that this resource serves for bytes of the store: parsed, and encoded with its revision.
pub(crate) fn served(resource: &Resource, stored: &[u8], revision: u64) -> Result<(Value, Vec<u8>), serde_json::Error> {
    let mut object: Value = serde_json::from_slice(stored)?;
    let (kind, version) = (object["kind"].clone(), object["apiVersion"].clone());
    resource.strategy.to_served(&mut object);
    let same = object["kind"] == kind && object["apiVersion"] == version;
    let bytes = if same { codec::splice(stored, revision) } else { codec::splice(&codec::encode(&object), revision) };
    Ok((object, bytes))
}
