use crate::cause::Causes;
use crate::json::{at, has, int, is_empty, text};
use crate::names;
use crate::{Cause, Path};
use serde_json::Value;

const TEXT_LIMIT: usize = 128;
const MESSAGE_LIMIT: usize = 1024;
const IMMUTABLE: &str = "field is immutable";

/// What is wrong with an event in the core group's form.
pub(super) fn core(event: &Value) -> Vec<Cause> {
    let mut found = Causes::default();
    if is_empty(event, "/eventTime") {
        check_namespace(event, &["", "default"], &mut found);
    } else {
        check_new_style(event, &mut found);
    }
    found.into_vec()
}

/// What is wrong with creating an event through `events.k8s.io`, beyond [`core`].
pub(super) fn events_group(event: &Value) -> Vec<Cause> {
    let mut found = Causes::default();
    if is_empty(event, "/eventTime") {
        found.push(Cause::required(&Path::new("eventTime"), ""));
    }
    let kind = text(event, "/type");
    if kind != "Normal" && kind != "Warning" {
        found.push(Cause::invalid(&Path::new("type"), "", &format!("has invalid value: {kind}")));
    }
    if at(event, "/series").is_object() && int(event, "/series/count").unwrap_or(0) < 2 {
        found.push(Cause::invalid(&Path::new("series.count"), "", "should be at least 2"));
    }
    for field in ["deprecatedFirstTimestamp", "deprecatedLastTimestamp"] {
        if !is_empty(event, &format!("/{field}")) {
            found.push(Cause::invalid(&Path::new(&core_name(field)), "", "needs to be unset"));
        }
    }
    if int(event, "/deprecatedCount").unwrap_or(0) != 0 {
        found.push(Cause::invalid(&Path::new("count"), "", "needs to be unset"));
    }
    found.into_vec()
}

/// What is wrong with an update through `events.k8s.io`: only `series` may change.
pub(super) fn events_group_update(new: &Value, old: &Value) -> Vec<Cause> {
    let fixed = [
        "regarding",
        "reason",
        "reportingController",
        "reportingInstance",
        "action",
        "eventTime",
        "related",
        "note",
        "type",
    ];
    let changed = fixed.iter().filter(|field| new.get(**field) != old.get(**field));
    changed
        .map(|field| Cause::invalid(&Path::new(field), new.get(*field).cloned().unwrap_or_default(), IMMUTABLE))
        .collect()
}

fn core_name(field: &str) -> String {
    if field.contains("First") { "firstTimestamp".to_owned() } else { "lastTimestamp".to_owned() }
}

/// An event lives in the namespace of what it is about; what has none, in one of `others`.
fn check_namespace(event: &Value, others: &[&str], found: &mut Causes) {
    let (namespace, involved) = (text(event, "/metadata/namespace"), text(event, "/involvedObject/namespace"));
    let agree = if involved.is_empty() { others.contains(&namespace) } else { namespace == involved };
    if !agree {
        found.push(Cause::invalid(&Path::new("involvedObject.namespace"), involved, "does not match event.namespace"));
    }
}

/// Events with an `eventTime` must say more.
fn check_new_style(event: &Value, found: &mut Causes) {
    if !has(event, "/involvedObject/namespace") {
        check_namespace(event, &["default", "kube-system"], found);
    }
    let reporter = text(event, "/reportingComponent");
    let path = Path::new("reportingController");
    if reporter.is_empty() {
        found.push(Cause::required(&path, ""));
    }
    found.invalid_each(&path, reporter, names::qualified_name(reporter));
    for field in ["reportingInstance", "action", "reason"] {
        let value = text(event, &format!("/{field}"));
        if value.is_empty() {
            found.push(Cause::required(&Path::new(field), ""));
        }
        if value.len() > TEXT_LIMIT {
            found.push(Cause::invalid(&Path::new(field), "", "can have at most 128 characters"));
        }
    }
    if text(event, "/message").len() > MESSAGE_LIMIT {
        found.push(Cause::invalid(&Path::new("message"), "", "can have at most 1024 characters"));
    }
}
