//! The table that kubectl prints: `meta.k8s.io/v1` Table.

use crate::json::{list, text};
use crate::{Column, Resource, age};
use jiff::Timestamp;
use serde_json::{Value, json};

/// So many items of a long list are shown.
const SHOWN: usize = 3;

/// What of each object comes with its row (`includeObject`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Include {
    /// Nothing: the row's object is left out.
    None,
    /// Its metadata, as a `PartialObjectMetadata`.
    #[default]
    Metadata,
    /// All of it.
    Object,
}

impl Include {
    /// Reads the query parameter `includeObject`; `None` for one that is not known.
    pub fn parse(text: &str) -> Option<Include> {
        match text {
            "None" => Some(Include::None),
            "" | "Metadata" => Some(Include::Metadata),
            "Object" => Some(Include::Object),
            _ => None,
        }
    }
}

/// The table of `objects`; list metadata (`resourceVersion`, `continue`) is for the caller to put in.
pub fn table(resource: &Resource, objects: &[Value], now: Timestamp, include: Include) -> Value {
    table_of(resource.strategy.columns(), objects, include, |object| resource.strategy.cells(object, now))
}

/// The column of an object's name.
pub(crate) const NAME: Column = Column {
    name: "Name",
    kind: "string",
    format: "name",
    priority: 0,
    description: "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names",
};

/// The column of an object's age.
pub(crate) const AGE: Column = Column::plain(
    "Age",
    "string",
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.",
);

/// The cell of an object's name.
pub(crate) fn name(object: &Value) -> Value {
    text(object, "/metadata/name").into()
}

/// The cell of an object's age.
pub(crate) fn age_cell(object: &Value, now: Timestamp) -> Value {
    age::since(text(object, "/metadata/creationTimestamp"), now).into()
}

/// Names or images of a template's containers, as `-o wide` shows them.
pub(crate) fn join_containers(spec: &Value, field: &str) -> Value {
    let pointer = format!("/{field}");
    list(spec, "/containers").iter().map(|container| text(container, &pointer)).collect::<Vec<_>>().join(",").into()
}

/// The first few of many, as kubectl shows them: `a,b,c + 2 more...`.
pub(crate) fn shorten(all: Vec<String>) -> String {
    let shown = all[..all.len().min(SHOWN)].join(",");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

fn table_of(columns: &[Column], objects: &[Value], include: Include, cells: impl Fn(&Value) -> Vec<Value>) -> Value {
    let rows: Vec<Value> = objects.iter().map(|object| row(object, cells(object), include)).collect();
    let columns: Vec<Value> = columns.iter().map(definition).collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": columns,
        "rows": rows,
    })
}

fn definition(column: &Column) -> Value {
    json!({
        "name": column.name,
        "type": column.kind,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    })
}

fn row(object: &Value, cells: Vec<Value>, include: Include) -> Value {
    let object = match include {
        Include::None => return json!({ "cells": cells }),
        Include::Object => object.clone(),
        Include::Metadata => json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": object.get("metadata").cloned().unwrap_or_else(|| json!({})),
        }),
    };
    json!({ "cells": cells, "object": object })
}
