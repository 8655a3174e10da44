//! From a kubelet's `/stats/summary` to the objects of `metrics.k8s.io`. Pure.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) const VERSION: &str = "metrics.k8s.io/v1beta1";

/// What is read of a kubelet's summary (`k8s.io/kubelet/pkg/apis/stats/v1alpha1`).
#[derive(Debug, Deserialize)]
pub(super) struct Summary {
    node: Stats,
    #[serde(default)]
    pods: Vec<PodStats>,
}

#[derive(Debug, Deserialize)]
struct Stats {
    cpu: Option<Cpu>,
    memory: Option<Memory>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cpu {
    time: Timestamp,
    usage_nano_cores: Option<u64>,
    /// The time over which `usageNanoCores` was measured. Only Carob's nodes say it.
    window_seconds: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Memory {
    working_set_bytes: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodStats {
    pod_ref: PodRef,
    #[serde(default)]
    containers: Vec<ContainerStats>,
}

#[derive(Debug, Deserialize)]
struct PodRef {
    name: String,
    namespace: String,
    uid: String,
}

#[derive(Debug, Deserialize)]
struct ContainerStats {
    name: String,
    #[serde(flatten)]
    stats: Stats,
}

/// As long as other kubelets look between two samples.
const USUAL_WINDOW: f64 = 10.0;

/// What somebody used: over how long, and until when.
struct Usage {
    cpu: u64,
    memory: u64,
    at: Timestamp,
    window: f64,
}

impl Summary {
    /// Puts the Pods in order, so that one can be found.
    pub(super) fn sorted(mut self) -> Summary {
        self.pods.sort_by(|a, b| a.key().cmp(&b.key()));
        self
    }

    pub(super) fn pod(&self, namespace: &str, name: &str) -> Option<&PodStats> {
        let at = self.pods.binary_search_by(|pod| pod.key().cmp(&(namespace, name))).ok()?;
        Some(&self.pods[at])
    }
}

impl PodStats {
    fn key(&self) -> (&str, &str) {
        (&self.pod_ref.namespace, &self.pod_ref.name)
    }
}

impl Stats {
    /// Nothing before there were two samples.
    fn usage(&self) -> Option<Usage> {
        let cpu = self.cpu.as_ref()?;
        let memory = self.memory.as_ref()?.working_set_bytes?;
        let window = cpu.window_seconds.unwrap_or(USUAL_WINDOW);
        Some(Usage { cpu: cpu.usage_nano_cores?, memory, at: cpu.time, window })
    }
}

/// The NodeMetrics of a Node.
pub(super) fn node(node: &Value, summary: &Summary, now: Timestamp) -> Option<Value> {
    let usage = summary.node.usage()?;
    let mut metrics = object("NodeMetrics", node, &usage, now);
    metrics["usage"] = amounts(&usage);
    Some(metrics)
}

/// The PodMetrics of a Pod, once there is something to say of each of its running containers.
pub(super) fn pod(pod: &Value, stats: &PodStats, now: Timestamp) -> Option<Value> {
    if pod["metadata"]["uid"].as_str() != Some(&stats.pod_ref.uid) {
        return None;
    }
    let usages: Option<Vec<(&str, Usage)>> =
        stats.containers.iter().map(|container| Some((container.name.as_str(), container.stats.usage()?))).collect();
    let usages = usages?;
    // The oldest of the samples, so that nothing is said to be newer than it is.
    let oldest = usages.iter().map(|(_, usage)| usage).min_by_key(|usage| usage.at)?;
    let mut metrics = object("PodMetrics", pod, oldest, now);
    metrics["containers"] =
        usages.iter().map(|(name, usage)| json!({ "name": name, "usage": amounts(usage) })).collect();
    Some(metrics)
}

fn object(kind: &str, of: &Value, usage: &Usage, now: Timestamp) -> Value {
    let mut metadata = json!({ "name": of["metadata"]["name"], "creationTimestamp": seconds(now) });
    for field in ["namespace", "labels"] {
        if let Some(value) = of["metadata"].get(field) {
            metadata[field] = value.clone();
        }
    }
    json!({
        "kind": kind, "apiVersion": VERSION, "metadata": metadata,
        "timestamp": seconds(usage.at), "window": go_duration(usage.window),
    })
}

fn amounts(usage: &Usage) -> Value {
    json!({ "cpu": format!("{}n", usage.cpu), "memory": format!("{}Ki", usage.memory.div_ceil(1024)) })
}

/// To the second, as Kubernetes writes times.
fn seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

/// To the millisecond, in Go's notation: `5.01s`, `1m5s`.
fn go_duration(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let (minutes, millis) = (whole.as_secs() / 60, whole.as_millis() % 60_000);
    let rest = millis as f64 / 1000.0;
    if minutes == 0 { format!("{rest}s") } else { format!("{minutes}m{rest}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn summary() -> Summary {
        let cpu =
            |nano: Value| json!({ "time": "2026-01-01T00:00:10.5Z", "usageNanoCores": nano, "windowSeconds": 5.25 });
        let summary = json!({
            "node": { "nodeName": "n1", "cpu": cpu(json!(300_000_000)), "memory": { "workingSetBytes": 4096 } },
            "pods": [
                { "podRef": { "name": "web", "namespace": "b", "uid": "u1" }, "containers": [
                    { "name": "c", "cpu": cpu(json!(1500)), "memory": { "workingSetBytes": 1025 } },
                ] },
                { "podRef": { "name": "new", "namespace": "a", "uid": "u2" }, "containers": [
                    { "name": "c", "cpu": { "time": "2026-01-01T00:00:10Z" }, "memory": { "workingSetBytes": 1 } },
                ] },
                { "podRef": { "name": "empty", "namespace": "a", "uid": "u3" } },
            ],
        });
        serde_json::from_value::<Summary>(summary).unwrap().sorted()
    }

    fn of(name: &str, uid: &str) -> Value {
        json!({ "metadata": { "name": name, "namespace": "b", "uid": uid, "labels": { "app": name } } })
    }

    #[test]
    fn a_pod_is_told_of_container_by_container() {
        let summary = summary();
        let metrics = pod(&of("web", "u1"), summary.pod("b", "web").unwrap(), NOW).unwrap();
        assert_eq!(metrics["metadata"]["labels"]["app"], "web");
        assert_eq!((&metrics["timestamp"], &metrics["window"]), (&json!("2026-01-01T00:00:10Z"), &json!("5.25s")));
        assert_eq!(metrics["containers"], json!([{ "name": "c", "usage": { "cpu": "1500n", "memory": "2Ki" } }]));
    }

    #[test]
    fn nothing_is_told_before_it_is_known() {
        let summary = summary();
        assert!(pod(&of("new", "u2"), summary.pod("a", "new").unwrap(), NOW).is_none(), "one sample makes no rate");
        assert!(pod(&of("empty", "u3"), summary.pod("a", "empty").unwrap(), NOW).is_none());
        assert!(pod(&of("web", "another"), summary.pod("b", "web").unwrap(), NOW).is_none(), "another Pod of the name");
        assert!(summary.pod("a", "web").is_none());
    }

    #[test]
    fn a_node_is_told_of_as_a_whole() {
        let metrics = node(&json!({ "metadata": { "name": "n1" } }), &summary(), NOW).unwrap();
        assert_eq!(metrics["usage"], json!({ "cpu": "300000000n", "memory": "4Ki" }));
        assert!(metrics["metadata"].get("namespace").is_none());
    }

    #[test]
    fn windows_are_written_as_go_writes_them() {
        for (seconds, text) in [(5.0, "5s"), (5.0104, "5.01s"), (0.25, "0.25s"), (65.5, "1m5.5s"), (120.0, "2m0s")] {
            assert_eq!(go_duration(seconds), text);
        }
    }
}
