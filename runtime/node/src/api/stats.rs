//! `/stats/summary`: what containers use, as JSON.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Shown;
use crate::pods::PodView;
use crate::registration::resident_bytes;
use crate::runtime::Usage;

pub(super) async fn summary(State(shown): State<Shown>) -> Json<Value> {
    let now = Timestamp::now();
    let pods: Vec<Value> = shown.table.all().iter().map(|view| pod(view, now)).collect();
    Json(json!({
        "node": {
            "nodeName": &*shown.node_name,
            "memory": {"time": now, "workingSetBytes": resident_bytes()},
            "fs": file_system(&shown, now),
        },
        "pods": pods,
    }))
}

fn pod(view: &PodView, now: Timestamp) -> Value {
    let usages: Vec<_> = running(view).collect();
    let containers: Vec<Value> = usages
        .iter()
        .map(|(name, usage)| json!({"name": name, "cpu": cpu(usage, now), "memory": memory(usage, now)}))
        .collect();
    let total = usages.iter().fold(Usage::default(), |total, (_, usage)| Usage {
        cpu: total.cpu + usage.cpu,
        memory_bytes: total.memory_bytes + usage.memory_bytes,
        requests: total.requests + usage.requests,
    });
    let meta = &view.pod.metadata;
    json!({
        "podRef": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
        "startTime": view.pod.status.as_ref().and_then(|status| status.start_time.clone()),
        "containers": containers,
        "cpu": cpu(&total, now),
        "memory": memory(&total, now),
        "network": network(view, now),
    })
}

/// A Pod has one interface, which other runtimes call `eth0`.
fn network(view: &PodView, now: Timestamp) -> Value {
    view.network.as_ref().map_or(Value::Null, |network| {
        let traffic = network.traffic();
        json!({"time": now, "name": "eth0", "rxBytes": traffic.received, "txBytes": traffic.sent})
    })
}

/// The Pod's running containers, with what each has used.
pub(super) fn running(view: &PodView) -> impl Iterator<Item = (&str, Usage)> {
    view.containers.iter().filter_map(|brief| Some((brief.name.as_str(), brief.running.as_ref()?.usage())))
}

fn cpu(usage: &Usage, now: Timestamp) -> Value {
    json!({"time": now, "usageCoreNanoSeconds": u64::try_from(usage.cpu.as_nanos()).unwrap_or(u64::MAX)})
}

fn memory(usage: &Usage, now: Timestamp) -> Value {
    json!({"time": now, "usageBytes": usage.memory_bytes, "workingSetBytes": usage.memory_bytes})
}

fn file_system(shown: &Shown, now: Timestamp) -> Value {
    rustix::fs::statvfs(&shown.data_dir).map_or(Value::Null, |stat| {
        let (capacity, available) = (stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize);
        let used = capacity.saturating_sub(stat.f_bfree * stat.f_frsize);
        json!({"time": now, "capacityBytes": capacity, "availableBytes": available, "usedBytes": used})
    })
}
