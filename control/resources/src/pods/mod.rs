//! Pods.

mod account;
mod admission;
mod ephemeral;
mod print;
mod resize;
mod update;
mod uses;

use crate::cause::Causes;
use crate::json::{at, fill, flag, int, is_empty, list, section, set, text};
use crate::pod_spec::{default_requests, default_spec, qos_class, spec_warnings, validate_spec};
use crate::resource::{Resource, Scope, Subresource};
use crate::strategy::carry_over;
use crate::{Cause, Column, Path, Strategy};
use jiff::Timestamp;
use serde_json::{Value, json};

pub use account::AccountPolicy;
pub use uses::node_uses;

pub(crate) const PODS: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Pod",
    plural: "pods",
    singular: "pod",
    short_names: &["po"],
    categories: &["all"],
    scope: Scope::Namespaced,
    subresources: &[
        Subresource::Status,
        Subresource::Binding,
        Subresource::EphemeralContainers,
        Subresource::Eviction,
        Subresource::Log,
        Subresource::Exec,
        Subresource::Attach,
        Subresource::PortForward,
        Subresource::Proxy,
        Subresource::Resize,
    ],
    storage: "pods",
    strategy: &Pods,
};

/// What a Pod that does not say gets to end in, in seconds.
const DEFAULT_GRACE_SECONDS: i64 = 30;

struct Pods;

impl Strategy for Pods {
    fn default(&self, pod: &mut Value) {
        let Some(spec) = section(pod, "spec") else { return };
        default_spec(spec);
        default_requests(spec);
        resize::default_policies(spec);
        fill(spec, "enableServiceLinks", true);
    }

    fn prepare_create(&self, pod: &mut Value, now: Timestamp) {
        let mut status = json!({ "phase": "Pending", "qosClass": qos_class(at(pod, "/spec")) });
        if !is_empty(pod, "/spec/schedulingGates") {
            set(&mut status, "conditions", json!([gated(now)]));
        }
        set(pod, "status", status);
        if let Some(spec) = section(pod, "spec") {
            admission::admit(spec);
        }
    }

    fn prepare_status(&self, new: &mut Value, old: &Value) {
        carry_over(new, old, "spec");
        let (Some(metadata), Some(held)) = (new.get_mut("metadata"), old.get("metadata")) else { return };
        carry_over(metadata, held, "ownerReferences");
        carry_over(metadata, held, "deletionTimestamp");
        uses::keep_grants(metadata, held);
    }

    fn validate(&self, pod: &Value) -> Vec<Cause> {
        let spec = Path::new("spec");
        let mut found = Causes::default();
        found.extend(validate_spec(at(pod, "/spec"), &spec));
        found.into_vec()
    }

    fn warnings(&self, pod: &Value) -> Vec<String> {
        spec_warnings(at(pod, "/spec"), &Path::new("spec"))
    }

    fn validate_create(&self, pod: &Value) -> Vec<Cause> {
        let mut found = Causes::default();
        let spec = Path::new("spec");
        if !is_empty(pod, "/spec/ephemeralContainers") {
            found.push(Cause::forbidden(&spec.child("ephemeralContainers"), "cannot be set on create"));
        }
        if !is_empty(pod, "/spec/schedulingGates") && !is_empty(pod, "/spec/nodeName") {
            found.push(Cause::forbidden(
                &spec.child("nodeName"),
                "cannot be set until all schedulingGates have been cleared",
            ));
        }
        found.extend(admission::validate(at(pod, "/spec"), &spec));
        found.into_vec()
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<Cause> {
        update::validate(new, old)
    }

    fn prepare_part(&self, part: Subresource, new: &mut Value, old: &Value) {
        if part == Subresource::Resize {
            return resize::prepare(new, old);
        }
        let wanted = std::mem::replace(new, old.clone());
        if part == Subresource::EphemeralContainers {
            ephemeral::take_over(new, &wanted);
        }
    }

    fn validate_part(&self, part: Subresource, new: &Value, old: &Value) -> Vec<Cause> {
        match part {
            Subresource::EphemeralContainers => ephemeral::validate_update(new, old),
            Subresource::Resize => resize::validate(new, old),
            _ => Vec::new(),
        }
    }

    fn grace_seconds(&self, pod: &Value, asked: Option<i64>) -> Option<i64> {
        let over = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
        if over || text(pod, "/spec/nodeName").is_empty() {
            return Some(0);
        }
        // A negative period in the spec stands for one second.
        let own = int(pod, "/spec/terminationGracePeriodSeconds").unwrap_or(DEFAULT_GRACE_SECONDS);
        let wanted = asked.unwrap_or(own);
        Some(if wanted < 0 { 1 } else { wanted })
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

/// The condition of a Pod that may not be scheduled yet.
fn gated(now: Timestamp) -> Value {
    let second = Timestamp::from_second(now.as_second()).unwrap_or(now);
    json!({
        "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
        "message": "Scheduling is blocked due to non-empty scheduling gates",
        "lastProbeTime": null, "lastTransitionTime": second.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn pod() -> Value {
        let mut pod = json!({
            "metadata": { "name": "web", "namespace": "default" },
            "spec": { "containers": [{ "name": "a", "image": "hello:1", "resources": { "limits": { "cpu": "1" } } }] },
        });
        Pods.default(&mut pod);
        Pods.prepare_create(&mut pod, Timestamp::UNIX_EPOCH);
        pod
    }

    #[test]
    fn a_new_pod_is_pending_and_admitted() {
        let pod = pod();
        assert_eq!(pod["status"], json!({ "phase": "Pending", "qosClass": "Burstable" }));
        let spec = &pod["spec"];
        assert_eq!(spec["containers"][0]["resources"]["requests"]["cpu"], "1");
        assert_eq!(spec["serviceAccountName"], "default");
        assert_eq!(spec["priority"], 0);
        assert_eq!(spec["preemptionPolicy"], "PreemptLowerPriority");
        assert_eq!(spec["enableServiceLinks"], true);
        assert_eq!(spec["tolerations"].as_array().unwrap().len(), 2);
        assert_eq!(Pods.validate(&pod), []);
        assert_eq!(Pods.validate_create(&pod), []);
    }

    #[test]
    fn what_runs_nowhere_ends_at_once() {
        let mut pod = pod();
        assert_eq!(Pods.grace_seconds(&pod, None), Some(0));
        pod["spec"]["nodeName"] = json!("node-1");
        let cases = [(None, 30), (Some(5), 5), (Some(0), 0), (Some(-3), 1)];
        for (asked, seconds) in cases {
            assert_eq!(Pods.grace_seconds(&pod, asked), Some(seconds), "{asked:?}");
        }
        pod["status"]["phase"] = json!("Failed");
        assert_eq!(Pods.grace_seconds(&pod, Some(30)), Some(0));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let cases = [
            ("/spec/containers", json!([]), "spec.containers", "Required value"),
            ("/spec/containers/0/image", json!(""), "spec.containers[0].image", "Required value"),
            (
                "/spec/containers/0/name",
                json!("A"),
                "spec.containers[0].name",
                "Invalid value: \"A\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            ),
            (
                "/spec/restartPolicy",
                json!("Maybe"),
                "spec.restartPolicy",
                "Unsupported value: \"Maybe\": supported values: \"Always\", \"Never\", \"OnFailure\"",
            ),
            (
                "/spec/activeDeadlineSeconds",
                json!(0),
                "spec.activeDeadlineSeconds",
                "Invalid value: 0: must be between 1 and 2147483647, inclusive",
            ),
            (
                "/spec/containers/0/ports",
                json!([{ "containerPort": 70000, "protocol": "TCP" }]),
                "spec.containers[0].ports[0].containerPort",
                "Invalid value: 70000: must be between 1 and 65535, inclusive",
            ),
            (
                "/spec/containers/0/volumeMounts",
                json!([{ "name": "v", "mountPath": "/v" }]),
                "spec.containers[0].volumeMounts[0].name",
                "Not found: \"v\"",
            ),
            (
                "/spec/containers/0/env",
                json!([{ "name": "A=B" }]),
                "spec.containers[0].env[0].name",
                "Invalid value: \"A=B\": a valid environment variable name must consist only of printable ASCII characters other than '='",
            ),
            (
                "/spec/volumes",
                json!([{ "name": "v", "emptyDir": {} }, { "name": "v", "emptyDir": {} }]),
                "spec.volumes[1].name",
                "Duplicate value: \"v\"",
            ),
            (
                "/spec/nodeSelector",
                json!({ "a b": "" }),
                "spec.nodeSelector",
                "Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ),
            (
                "/spec/tolerations",
                json!([{ "operator": "Equal" }]),
                "spec.tolerations[0].operator",
                "Invalid value: \"Equal\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            ),
            (
                "/spec/containers/0/livenessProbe",
                json!({ "periodSeconds": 1 }),
                "spec.containers[0].livenessProbe",
                "Required value: must specify a handler type",
            ),
            (
                "/spec/containers/0/lifecycle",
                json!({ "preStop": { "sleep": { "seconds": 31 } } }),
                "spec.containers[0].lifecycle.preStop.sleep",
                "Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)",
            ),
            (
                "/spec/containers/0/readinessProbe",
                json!({ "grpc": { "port": 0 } }),
                "spec.containers[0].readinessProbe.grpc",
                "Invalid value: 0: must be between 1 and 65535, inclusive",
            ),
            (
                "/spec/readinessGates",
                json!([{ "conditionType": "a b" }]),
                "spec.readinessGates[0].conditionType",
                "Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ),
            (
                "/spec/initContainers",
                json!([{ "name": "i", "image": "hello:1", "imagePullPolicy": "Always",
                    "terminationMessagePolicy": "File", "lifecycle": { "postStart": { "sleep": { "seconds": 1 } } } }]),
                "spec.initContainers[0].lifecycle",
                "Forbidden: may not be set for init containers without restartPolicy=Always",
            ),
            (
                "/spec/containers/0/restartPolicyRules",
                json!([{ "action": "Restart", "exitCodes": { "operator": "In", "values": [1] } }]),
                "spec.containers[0].restartPolicy",
                "Required value: must specify restartPolicy when restart rules are used",
            ),
            (
                "/spec/containers/0/env",
                json!([{ "name": "A", "valueFrom": { "resourceFieldRef": { "resource": "limits.cpu", "divisor": "2" } } }]),
                "spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor",
                "Invalid value: \"limits.cpu\": only divisor's values 1m and 1 are supported with the cpu resource",
            ),
        ];
        for (pointer, value, field, message) in cases {
            let mut pod = pod();
            set_at(&mut pod, pointer, value);
            let found = Pods.validate(&pod);
            assert_eq!(found.len(), 1, "{pointer}: {found:?}");
            assert_eq!((found[0].field.as_str(), found[0].message.as_str()), (field, message));
        }
    }

    fn set_at(object: &mut Value, pointer: &str, value: Value) {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        set(object.pointer_mut(parent).unwrap(), field, value);
    }
}
