//! Events: kept in the form of the core group, served also by `events.k8s.io`.

mod convert;
mod validate;

use crate::json::{at, int, text};
use crate::resource::{Resource, Scope};
use crate::table::NAME;
use crate::{Cause, Column, Strategy, age};
use jiff::Timestamp;
use serde_json::Value;

pub(crate) const CORE_EVENTS: Resource = resource("", &CoreEvents);
pub(crate) const EVENTS: Resource = resource("events.k8s.io", &Events);

const fn resource(group: &'static str, strategy: &'static dyn Strategy) -> Resource {
    Resource {
        group,
        version: "v1",
        kind: "Event",
        plural: "events",
        singular: "event",
        short_names: &["ev"],
        categories: &[],
        scope: Scope::Namespaced,
        subresources: &[],
        storage: "events",
        strategy,
    }
}

const COLUMNS: &[Column] = &[
    Column::plain("Last Seen", "string", "The time at which the most recent occurrence of this event was recorded."),
    Column::plain("Type", "string", "Type of this event (Normal, Warning), new types could be added in the future"),
    Column::plain(
        "Reason",
        "string",
        "This should be a short, machine understandable string that gives the reason for the transition into the object's current status.",
    ),
    Column::plain("Object", "string", "The object that this event is about."),
    Column::wide("Subobject", "The part of the object that this event is about."),
    Column::wide("Source", "The component reporting this event. Should be a short machine understandable string."),
    Column::plain("Message", "string", "A human-readable description of the status of this operation."),
    Column::wide(
        "First Seen",
        "The time at which the event was first recorded. (Time of server receipt is in TypeMeta.)",
    ),
    Column::wide("Count", "The number of times this event has occurred."),
    Column { name: "Name", priority: 1, ..NAME },
];

/// The core group's form.
struct CoreEvents;

/// The form of `events.k8s.io`.
struct Events;

impl Strategy for CoreEvents {
    fn has_generation(&self) -> bool {
        false
    }

    fn validate(&self, event: &Value) -> Vec<Cause> {
        validate::core(event)
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, event: &Value, now: Timestamp) -> Vec<Value> {
        cells(event, now)
    }

    fn selectable_fields(&self, event: &Value) -> Vec<(&'static str, String)> {
        core_fields(event)
    }
}

impl Strategy for Events {
    fn to_served(&self, event: &mut Value) {
        convert::to_events_group(event);
    }

    fn to_stored(&self, event: &mut Value) {
        convert::to_core_group(event);
    }

    fn stored_as_served(&self) -> bool {
        false
    }

    fn has_generation(&self) -> bool {
        false
    }

    fn validate(&self, event: &Value) -> Vec<Cause> {
        validate::core(&as_core(event))
    }

    fn validate_create(&self, event: &Value) -> Vec<Cause> {
        validate::events_group(event)
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<Cause> {
        validate::events_group_update(new, old)
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, event: &Value, now: Timestamp) -> Vec<Value> {
        cells(&as_core(event), now)
    }

    fn selectable_fields(&self, event: &Value) -> Vec<(&'static str, String)> {
        select(event, FIELDS)
    }
}

fn as_core(event: &Value) -> Value {
    let mut core = event.clone();
    convert::to_core_group(&mut core);
    core
}

fn cells(event: &Value, now: Timestamp) -> Vec<Value> {
    let (first, last, count) = occurrences(event);
    vec![
        age::since(last, now).into(),
        text(event, "/type").into(),
        text(event, "/reason").into(),
        target(event).into(),
        text(event, "/involvedObject/fieldPath").into(),
        source(event).into(),
        text(event, "/message").trim().into(),
        age::since(first, now).into(),
        count.into(),
        text(event, "/metadata/name").into(),
    ]
}

/// When it happened first and last, and how often.
fn occurrences(event: &Value) -> (&str, &str, i64) {
    let or = |value, other| if str::is_empty(value) { other } else { value };
    let first = or(text(event, "/firstTimestamp"), text(event, "/eventTime"));
    let last = or(text(event, "/lastTimestamp"), first);
    if at(event, "/series").is_object() {
        return (first, text(event, "/series/lastObservedTime"), int(event, "/series/count").unwrap_or(0));
    }
    (first, last, int(event, "/count").filter(|count| *count != 0).unwrap_or(1))
}

fn target(event: &Value) -> String {
    let kind = text(event, "/involvedObject/kind").to_lowercase();
    match text(event, "/involvedObject/name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    }
}

fn source(event: &Value) -> String {
    let pair = |component: &str, host: &str| match host {
        "" => component.to_owned(),
        host => format!("{component}, {host}"),
    };
    match text(event, "/source/component") {
        "" => pair(text(event, "/reportingComponent"), text(event, "/reportingInstance")),
        component => pair(component, text(event, "/source/host")),
    }
}

/// What core events can be chosen by, and where it stands.
const CORE_FIELDS: &[(&str, &str)] = &[
    ("involvedObject.kind", "/involvedObject/kind"),
    ("involvedObject.namespace", "/involvedObject/namespace"),
    ("involvedObject.name", "/involvedObject/name"),
    ("involvedObject.uid", "/involvedObject/uid"),
    ("involvedObject.apiVersion", "/involvedObject/apiVersion"),
    ("involvedObject.resourceVersion", "/involvedObject/resourceVersion"),
    ("involvedObject.fieldPath", "/involvedObject/fieldPath"),
    ("reason", "/reason"),
    ("reportingComponent", "/reportingComponent"),
    ("type", "/type"),
];

/// What events of `events.k8s.io` can be chosen by, and where it stands.
const FIELDS: &[(&str, &str)] = &[
    ("regarding.kind", "/regarding/kind"),
    ("regarding.namespace", "/regarding/namespace"),
    ("regarding.name", "/regarding/name"),
    ("regarding.uid", "/regarding/uid"),
    ("regarding.apiVersion", "/regarding/apiVersion"),
    ("regarding.resourceVersion", "/regarding/resourceVersion"),
    ("regarding.fieldPath", "/regarding/fieldPath"),
    ("reason", "/reason"),
    ("reportingController", "/reportingController"),
    ("type", "/type"),
];

fn select(event: &Value, fields: &'static [(&'static str, &'static str)]) -> Vec<(&'static str, String)> {
    fields.iter().map(|(field, pointer)| (*field, text(event, pointer).to_owned())).collect()
}

fn core_fields(event: &Value) -> Vec<(&'static str, String)> {
    let source = match text(event, "/source/component") {
        "" => text(event, "/reportingComponent"),
        component => component,
    };
    let mut fields = select(event, CORE_FIELDS);
    fields.push(("source", source.to_owned()));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Event", "metadata": { "name": "e", "namespace": "default" },
            "involvedObject": { "kind": "Pod", "name": "web-1", "namespace": "default" },
            "reason": "Started", "type": "Normal", "message": "Started container\n", "count": 3,
            "source": { "component": "kubelet", "host": "node-1" },
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:04:00Z",
        })
    }

    #[test]
    fn both_groups_print_the_same_row() {
        let now = "2026-01-01T00:05:00Z".parse().unwrap();
        let expected =
            json!(["60s", "Normal", "Started", "pod/web-1", "", "kubelet, node-1", "Started container", "5m", 3, "e"]);
        assert_eq!(json!(CoreEvents.cells(&event(), now)), expected);
        let mut served = event();
        Events.to_served(&mut served);
        assert_eq!(json!(Events.cells(&served, now)), expected);
        let chosen = |fields: Vec<(&str, String)>, field: &str| {
            fields.iter().find(|(name, _)| *name == field).unwrap().1.clone()
        };
        assert_eq!(chosen(Events.selectable_fields(&served), "regarding.name"), "web-1");
        assert_eq!(chosen(CoreEvents.selectable_fields(&event()), "involvedObject.name"), "web-1");
        assert_eq!(chosen(CoreEvents.selectable_fields(&event()), "source"), "kubelet");
    }
}
