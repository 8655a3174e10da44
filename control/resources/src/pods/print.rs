//! The row that kubectl shows for a Pod: how its status is told in one word.

use crate::json::{at, flag, int, list, text};
use crate::table::{AGE, NAME, age_cell, name};
use crate::workload::condition;
use crate::{Column, age};
use jiff::Timestamp;
use serde_json::Value;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::plain("Ready", "string", "The aggregate readiness state of this pod for accepting traffic."),
    Column::plain("Status", "string", "The aggregate status of the containers in this pod."),
    Column::plain(
        "Restarts",
        "string",
        "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.",
    ),
    AGE,
    Column::wide(
        "IP",
        "podIP address allocated to the pod. Routable at least within the cluster. Empty if not yet allocated.",
    ),
    Column::wide("Node", "NodeName indicates in which node this pod is scheduled."),
    Column::wide("Nominated Node", "nominatedNodeName is set only when this pod preempts other pods on the node."),
    Column::wide("Readiness Gates", "If specified, all readiness gates will be evaluated for pod readiness."),
];

pub(super) fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let summary = Summary::of(pod);
    vec![
        name(pod),
        format!("{}/{}", summary.ready, summary.total).into(),
        summary.reason.as_str().into(),
        summary.restarts(now).into(),
        age_cell(pod, now),
        or_none(first_ip(pod)).into(),
        or_none(text(pod, "/spec/nodeName")).into(),
        or_none(text(pod, "/status/nominatedNodeName")).into(),
        readiness_gates(pod).into(),
    ]
}

/// What is told of all the containers together.
struct Summary<'a> {
    reason: String,
    ready: usize,
    total: usize,
    restarts: i64,
    /// When a container that was started again ended last, as RFC 3339 in UTC: the latest sorts last.
    last_restart: &'a str,
}

impl<'a> Summary<'a> {
    fn of(pod: &'a Value) -> Summary<'a> {
        let phase = text(pod, "/status/phase");
        let reason = Some(text(pod, "/status/reason")).filter(|reason| !reason.is_empty()).unwrap_or(phase);
        let mut summary = Summary {
            reason: reason.to_owned(),
            ready: 0,
            total: list(pod, "/spec/containers").len(),
            restarts: 0,
            last_restart: "",
        };
        if condition(pod, "PodScheduled").is_some_and(|c| text(c, "/reason") == "SchedulingGated") {
            summary.reason = "SchedulingGated".to_owned();
        }
        let initializing = summary.read_init_containers(pod);
        if !initializing {
            summary.forget_finished_init_containers(pod);
        }
        if !initializing || condition(pod, "Initialized").is_some_and(|c| text(c, "/status") == "True") {
            summary.read_containers(pod);
        }
        summary.read_deletion(pod);
        summary
    }

    /// Answers whether an init container has still something to do.
    fn read_init_containers(&mut self, pod: &'a Value) -> bool {
        let declared = list(pod, "/spec/initContainers");
        self.total += declared.iter().filter(|c| text(c, "/restartPolicy") == "Always").count();
        let mut initializing = false;
        for (index, status) in list(pod, "/status/initContainerStatuses").iter().enumerate() {
            self.count_restarts(status);
            let is_sidecar = is_sidecar(pod, status);
            if is_sidecar && flag(status, "/ready") {
                self.ready += 1;
            }
            if initializing || is_initialized(status, is_sidecar) {
                continue;
            }
            self.reason = init_reason(status, index, declared.len());
            initializing = true;
        }
        initializing
    }

    /// Once all are done, only the restarts of init containers that stay are counted.
    fn forget_finished_init_containers(&mut self, pod: &'a Value) {
        (self.restarts, self.last_restart) = (0, "");
        for status in list(pod, "/status/initContainerStatuses").iter().filter(|status| is_sidecar(pod, status)) {
            self.count_restarts(status);
        }
    }

    fn read_containers(&mut self, pod: &'a Value) {
        let mut running = false;
        for status in list(pod, "/status/containerStatuses").iter().rev() {
            self.count_restarts(status);
            if let Some(reason) = container_reason(status) {
                self.reason = reason;
            } else if flag(status, "/ready") && status.pointer("/state/running").is_some() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && running {
            let ready = condition(pod, "Ready").is_some_and(|c| text(c, "/status") == "True");
            self.reason = if ready { "Running" } else { "NotReady" }.to_owned();
        }
    }

    fn read_deletion(&mut self, pod: &Value) {
        if text(pod, "/metadata/deletionTimestamp").is_empty() {
            return;
        }
        if text(pod, "/status/reason") == "NodeLost" {
            self.reason = "Unknown".to_owned();
        } else if !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") {
            self.reason = "Terminating".to_owned();
        }
    }

    fn count_restarts(&mut self, status: &'a Value) {
        self.restarts = self.restarts.saturating_add(int(status, "/restartCount").unwrap_or(0));
        self.last_restart = self.last_restart.max(text(status, "/lastState/terminated/finishedAt"));
    }

    fn restarts(&self, now: Timestamp) -> String {
        if self.restarts == 0 || self.last_restart.is_empty() {
            return self.restarts.to_string();
        }
        format!("{} ({} ago)", self.restarts, age::since(self.last_restart, now))
    }
}

/// Whether this is the status of an init container that stays.
fn is_sidecar(pod: &Value, status: &Value) -> bool {
    let name = text(status, "/name");
    list(pod, "/spec/initContainers").iter().any(|c| text(c, "/name") == name && text(c, "/restartPolicy") == "Always")
}

fn is_initialized(status: &Value, is_sidecar: bool) -> bool {
    let ended_well = int(status, "/state/terminated/exitCode") == Some(0);
    ended_well || (is_sidecar && flag(status, "/started"))
}

fn init_reason(status: &Value, index: usize, total: usize) -> String {
    if at(status, "/state/terminated").is_object() {
        return format!("Init:{}", terminated_reason(status));
    }
    match text(status, "/state/waiting/reason") {
        "" | "PodInitializing" => format!("Init:{index}/{total}"),
        reason => format!("Init:{reason}"),
    }
}

/// Why a container does not run, if that is told.
fn container_reason(status: &Value) -> Option<String> {
    let waiting = text(status, "/state/waiting/reason");
    if !waiting.is_empty() {
        return Some(waiting.to_owned());
    }
    at(status, "/state/terminated").is_object().then(|| terminated_reason(status))
}

fn terminated_reason(status: &Value) -> String {
    let reason = text(status, "/state/terminated/reason");
    let signal = int(status, "/state/terminated/signal").unwrap_or(0);
    match (reason, signal) {
        ("", 0) => format!("ExitCode:{}", int(status, "/state/terminated/exitCode").unwrap_or(0)),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn first_ip(pod: &Value) -> &str {
    match text(pod, "/status/podIPs/0/ip") {
        "" => text(pod, "/status/podIP"),
        ip => ip,
    }
}

fn readiness_gates(pod: &Value) -> String {
    let gates = list(pod, "/spec/readinessGates");
    let met = |gate: &&Value| {
        condition(pod, text(gate, "/conditionType")).is_some_and(|condition| text(condition, "/status") == "True")
    };
    match gates.len() {
        0 => "<none>".to_owned(),
        total => format!("{}/{total}", gates.iter().filter(met).count()),
    }
}

fn or_none(value: &str) -> &str {
    if value.is_empty() { "<none>" } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(pod: Value) -> Vec<String> {
        let now = "2026-01-01T00:10:00Z".parse().unwrap();
        cells(&pod, now).iter().skip(1).take(3).map(|cell| cell.as_str().unwrap().to_owned()).collect()
    }

    fn pod(status: Value) -> Value {
        json!({ "spec": { "containers": [{ "name": "a" }, { "name": "b" }] }, "status": status })
    }

    #[test]
    fn one_word_tells_the_status() {
        let running = json!({ "ready": true, "state": { "running": {} } });
        let crashed = json!({ "restartCount": 3, "state": { "waiting": { "reason": "CrashLoopBackOff" } },
            "lastState": { "terminated": { "finishedAt": "2026-01-01T00:05:00Z" } } });
        let done = json!({ "state": { "terminated": { "reason": "Completed", "exitCode": 0 } } });
        let silent = json!({ "state": { "terminated": { "exitCode": 7 } } });
        let cases = [
            (json!({ "phase": "Pending" }), ["0/2", "Pending", "0"]),
            (json!({ "phase": "Running", "containerStatuses": [running, running] }), ["2/2", "Running", "0"]),
            (
                json!({ "phase": "Running", "containerStatuses": [running, crashed] }),
                ["1/2", "CrashLoopBackOff", "3 (5m ago)"],
            ),
            (json!({ "phase": "Running", "containerStatuses": [running, done] }), ["1/2", "NotReady", "0"]),
            (json!({ "phase": "Succeeded", "containerStatuses": [done, done] }), ["0/2", "Completed", "0"]),
            (json!({ "phase": "Failed", "containerStatuses": [silent] }), ["0/2", "ExitCode:7", "0"]),
            (json!({ "phase": "Failed", "reason": "Evicted" }), ["0/2", "Evicted", "0"]),
        ];
        for (status, expected) in cases {
            assert_eq!(row(pod(status.clone())), expected, "{status}");
        }
    }

    #[test]
    fn init_containers_and_deletion_come_first() {
        let mut starting = pod(json!({ "phase": "Pending", "initContainerStatuses": [
            { "name": "i", "state": { "terminated": { "exitCode": 0 } } }, { "name": "j", "state": { "running": {} } }] }));
        starting["spec"]["initContainers"] = json!([{ "name": "i" }, { "name": "j" }]);
        assert_eq!(row(starting.clone())[1], "Init:1/2");
        starting["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] = json!(1);
        assert_eq!(row(starting.clone())[1], "Init:ExitCode:1");
        starting["metadata"] = json!({ "deletionTimestamp": "2026-01-01T00:00:00Z" });
        assert_eq!(row(starting)[1], "Terminating");
    }
}
