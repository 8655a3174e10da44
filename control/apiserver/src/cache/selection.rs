//! Which objects a list or a watch is about.

use carob_resources::{
    Resource,
    selector::{FieldSelector, LabelSelector},
};
use serde_json::Value;

use super::Entry;
use crate::{
    request::{Address, Query},
    status::Status,
};

/// A namespace (or all), a label selector and a field selector.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// Empty: all namespaces.
    namespace: String,
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selection {
    pub(crate) fn parse(resource: &Resource, address: &Address, query: &Query) -> Result<Self, Status> {
        let labels = LabelSelector::parse(query.get("labelSelector").unwrap_or_default())
            .map_err(|error| Status::bad_request(format!("unable to parse labelSelector: {error}")))?;
        let mut text = query.get("fieldSelector").unwrap_or_default().to_owned();
        if !address.name.is_empty() {
            let comma = if text.is_empty() { "" } else { "," };
            text = format!("{text}{comma}metadata.name={}", address.name);
        }
        let fields = FieldSelector::parse(&text)
            .map_err(|error| Status::bad_request(format!("unable to parse fieldSelector: {error}")))?;
        let known = resource.strategy.selectable_fields(&Value::Null);
        for field in fields.fields() {
            let supported =
                matches!(field, "metadata.name" | "metadata.namespace") || known.iter().any(|(name, _)| *name == field);
            if !supported {
                return Err(Status::bad_request(format!("field label not supported: {field}")));
            }
        }
        let namespace = if resource.kind == "Namespace" { String::new() } else { address.namespace.clone() };
        Ok(Self { namespace, labels, fields })
    }

    /// What the keys of all selected objects begin with.
    pub(crate) fn prefix(&self) -> String {
        match self.namespace.as_str() {
            "" => String::new(),
            namespace => format!("{namespace}/"),
        }
    }

    /// Whether keys alone decide.
    pub(crate) fn is_by_key(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        (self.namespace.is_empty() || entry.namespace() == self.namespace)
            && self.labels.matches(|key| entry.label(key))
            && self.fields.matches(|field| entry.field(field))
    }
}
