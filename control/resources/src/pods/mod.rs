//! Pods.

mod print;

use crate::json::{at, flag, list, text};
use crate::resource::{Resource, Scope, Subresource};
use crate::{Column, Strategy};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) const PODS: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Pod",
    plural: "pods",
    singular: "pod",
    short_names: &["po"],
    categories: &["all"],
    scope: Scope::Namespaced,
    subresources: &[Subresource::Status, Subresource::Binding, Subresource::Eviction, Subresource::Log],
    storage: "pods",
    strategy: &Pods,
};

struct Pods;

impl Strategy for Pods {
    fn prepare_create(&self, pod: &mut Value, _now: Timestamp) {
        if let Some(map) = pod.as_object_mut() {
            map.insert("status".to_owned(), json!({ "phase": "Pending" }));
        }
    }

    fn grace_seconds(&self, pod: &Value, asked: Option<i64>) -> Option<i64> {
        let over = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
        if over || text(pod, "/spec/nodeName").is_empty() {
            return Some(0);
        }
        let wanted = asked.or_else(|| at(pod, "/spec/terminationGracePeriodSeconds").as_i64());
        Some(wanted.unwrap_or(DEFAULT_GRACE_SECONDS).max(0))
    }

    fn columns(&self) -> &'static [Column] {
        print::COLUMNS
    }

    fn cells(&self, pod: &Value, now: Timestamp) -> Vec<Value> {
        print::cells(pod, now)
    }

    fn selectable_fields(&self, pod: &Value) -> Vec<(&'static str, String)> {
        let ip = match list(pod, "/status/podIPs").first() {
            Some(first) => text(first, "/ip"),
            None => text(pod, "/status/podIP"),
        };
        vec![
            ("spec.nodeName", text(pod, "/spec/nodeName").to_owned()),
            ("spec.restartPolicy", text(pod, "/spec/restartPolicy").to_owned()),
            ("spec.schedulerName", text(pod, "/spec/schedulerName").to_owned()),
            ("spec.serviceAccountName", text(pod, "/spec/serviceAccountName").to_owned()),
            ("spec.hostNetwork", flag(pod, "/spec/hostNetwork").to_string()),
            ("status.phase", text(pod, "/status/phase").to_owned()),
            ("status.podIP", ip.to_owned()),
            ("status.nominatedNodeName", text(pod, "/status/nominatedNodeName").to_owned()),
        ]
    }
}

/// What a Pod that does not say gets to end in, in seconds.
const DEFAULT_GRACE_SECONDS: i64 = 30;
