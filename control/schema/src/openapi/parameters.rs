//! What may stand in the query of each operation.

use serde_json::{Value, json};

use super::document::Dialect;

#[derive(Clone, Copy)]
pub(super) struct Parameter {
    name: &'static str,
    kind: &'static str,
    description: &'static str,
}

const fn parameter(name: &'static str, kind: &'static str, description: &'static str) -> Parameter {
    Parameter { name, kind, description }
}

const DRY_RUN: Parameter = parameter("dryRun", "string", "All: do everything but the write itself.");
const FIELD_MANAGER: Parameter = parameter("fieldManager", "string", "The name of who makes this change.");
const FIELD_VALIDATION: Parameter = parameter(
    "fieldValidation",
    "string",
    "What to do about unknown and duplicate fields: Ignore, Warn (default), Strict.",
);
const FORCE: Parameter = parameter("force", "boolean", "Take over fields that others own; for apply patches alone.");
const RESOURCE_VERSION: Parameter =
    parameter("resourceVersion", "string", "The version to read at, or not older than.");

pub(super) const WRITE: &[Parameter] = &[DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION];
pub(super) const PATCH: &[Parameter] = &[DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION, FORCE];
pub(super) const READ: &[Parameter] = &[RESOURCE_VERSION];
pub(super) const DELETE: &[Parameter] = &[
    DRY_RUN,
    parameter("gracePeriodSeconds", "integer", "Seconds until the object is deleted; 0 at once."),
    parameter("propagationPolicy", "string", "What becomes of dependents: Orphan, Background, Foreground."),
];
pub(super) const LIST: &[Parameter] = &[
    parameter("allowWatchBookmarks", "boolean", "Whether a watch sends bookmarks."),
    parameter("continue", "string", "The token of the page before."),
    parameter("fieldSelector", "string", "Restricts the objects by their fields."),
    parameter("labelSelector", "string", "Restricts the objects by their labels."),
    parameter("limit", "integer", "The largest number of objects in one answer."),
    RESOURCE_VERSION,
    parameter("resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan."),
    parameter("sendInitialEvents", "boolean", "Whether a watch begins with the objects there are."),
    parameter("timeoutSeconds", "integer", "After how long the answer ends."),
    parameter("watch", "boolean", "Watch for changes instead of listing."),
];
pub(super) const LOG: &[Parameter] = &[
    parameter("container", "string", "Which container; needed if there are several."),
    parameter("follow", "boolean", "Keep on sending what is written."),
    parameter("limitBytes", "integer", "The largest number of bytes in the answer."),
    parameter("previous", "boolean", "The log of the container's run before."),
    parameter("sinceSeconds", "integer", "Only what is not older than that."),
    parameter("sinceTime", "string", "Only what was written after that."),
    parameter("tailLines", "integer", "Only that many lines from the end."),
    parameter("timestamps", "boolean", "Begin each line with its time."),
];

impl Parameter {
    pub(super) fn json(self, dialect: Dialect) -> Value {
        let Self { name, kind, description } = self;
        match dialect {
            Dialect::V2 => {
                json!({"name": name, "in": "query", "description": description, "type": kind, "uniqueItems": true})
            }
            Dialect::V3 => json!({
                "name": name, "in": "query", "description": description, "schema": {"type": kind, "uniqueItems": true},
            }),
        }
    }
}

/// A part of the path.
pub(super) fn in_path(dialect: Dialect, name: &str) -> Value {
    let description = format!("The {name} of the object.");
    match dialect {
        Dialect::V2 => {
            json!({"name": name, "in": "path", "description": description, "required": true, "type": "string"})
        }
        Dialect::V3 => json!({
            "name": name, "in": "path", "description": description, "required": true, "schema": {"type": "string"},
        }),
    }
}
