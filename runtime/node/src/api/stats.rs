//! `/stats/summary`: what the node and its Pods use, as JSON (`k8s.io/kubelet/pkg/apis/stats/v1alpha1`).

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Shown;
use crate::machine::{Disk, MachineUse, resident_bytes};
use crate::pods::{ContainerBrief, PodView};
use crate::runtime::Usage;
use crate::stats::{Window, started_at};
use crate::volumes::{Size, Stored, StoredVolume};

pub(super) async fn summary(State(shown): State<Shown>) -> Json<Value> {
    let now = Timestamp::now();
    let summary = tokio::task::spawn_blocking(move || {
        let pods: Vec<Value> = shown.table.all().iter().map(|view| pod(&shown, view, now)).collect();
        json!({ "node": node(&shown, now), "pods": pods })
    });
    // It only fails when the process ends.
    Json(summary.await.unwrap_or_default())
}

fn node(shown: &Shown, now: Timestamp) -> Value {
    let machine = MachineUse::read(&shown.data_dir);
    json!({
        "nodeName": &*shown.node_name,
        "startTime": shown.started,
        "cpu": cpu(machine.cpu.unwrap_or_default(), shown.samples.node(), now),
        "memory": node_memory(&machine, now),
        "fs": file_system(&machine, now),
        "runtime": { "imageFs": file_system(&machine, now), "containerFs": file_system(&machine, now) },
        "rlimit": machine.pids.map(|pids| json!({ "time": now, "maxpid": pids.capacity, "curproc": pids.used() })),
    })
}

fn node_memory(machine: &MachineUse, now: Timestamp) -> Value {
    machine.memory.map_or(Value::Null, |memory| {
        json!({
            "time": now, "availableBytes": memory.available, "usageBytes": memory.used(),
            "workingSetBytes": memory.used(), "rssBytes": resident_bytes(),
        })
    })
}

fn file_system(machine: &MachineUse, now: Timestamp) -> Value {
    machine.disk.map_or(Value::Null, |Disk { bytes, inodes }| {
        json!({
            "time": now, "capacityBytes": bytes.capacity, "availableBytes": bytes.available, "usedBytes": bytes.used(),
            "inodes": inodes.capacity, "inodesFree": inodes.available, "inodesUsed": inodes.used(),
        })
    })
}

/// A container that runs.
struct Running<'a> {
    brief: &'a ContainerBrief,
    usage: Usage,
    window: Option<Window>,
}

fn pod(shown: &Shown, view: &PodView, now: Timestamp) -> Value {
    let containers: Vec<Running> = running(view)
        .map(|(brief, usage)| Running { brief, usage, window: shown.samples.container(view, brief) })
        .collect();
    let volumes = Usage { memory_bytes: view.volume_memory(), ..Usage::default() };
    let total = containers.iter().fold(volumes, |total, one| Usage {
        cpu: total.cpu + one.usage.cpu,
        memory_bytes: total.memory_bytes + one.usage.memory_bytes,
        memory_peak_bytes: total.memory_peak_bytes + one.usage.memory_peak_bytes,
        requests: total.requests + one.usage.requests,
    });
    // Only once there is one of each container: a part would be no sum.
    let windows: Option<Vec<Window>> = containers.iter().map(|one| one.window).collect();
    let window = windows.and_then(|windows| windows.into_iter().reduce(Window::and));
    let stored = Stored::look(view);
    let meta = &view.pod.metadata;
    json!({
        "podRef": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
        "startTime": view.pod.status.as_ref().and_then(|status| status.start_time.clone()),
        "containers": containers.iter().map(|one| container(view, one, &stored, now)).collect::<Vec<Value>>(),
        "cpu": cpu(total.cpu, window, now),
        "memory": memory(&total, now),
        "network": network(view, now),
        "volume": stored.volumes.iter().map(|one| volume(view, one, now)).collect::<Vec<Value>>(),
        "ephemeral-storage": storage(stored.ephemeral(), now),
    })
}

fn volume(view: &PodView, stored: &StoredVolume, now: Timestamp) -> Value {
    let mut volume = storage(stored.size, now);
    volume["name"] = json!(stored.name);
    if let Some(claim) = &stored.claim {
        volume["pvcRef"] = json!({"name": claim, "namespace": view.pod.metadata.namespace});
    }
    if let Some(capacity) = stored.capacity {
        volume["capacityBytes"] = json!(capacity);
        volume["availableBytes"] = json!(capacity.saturating_sub(stored.size.bytes));
    }
    volume
}

fn storage(size: Size, now: Timestamp) -> Value {
    json!({"time": now, "usedBytes": size.bytes, "inodesUsed": size.entries})
}

/// A Pod has one interface, which other runtimes call `eth0`.
fn network(view: &PodView, now: Timestamp) -> Value {
    view.network.as_ref().map_or(Value::Null, |network| {
        let traffic = network.traffic();
        json!({"time": now, "name": "eth0", "rxBytes": traffic.received, "txBytes": traffic.sent})
    })
}

fn container(view: &PodView, running: &Running, stored: &Stored, now: Timestamp) -> Value {
    let Running { brief, usage, window } = running;
    json!({
        "name": brief.name,
        "startTime": started_at(&view.pod, &brief.name),
        "cpu": cpu(usage.cpu, *window, now),
        "memory": memory(usage, now),
        "logs": storage(stored.logs(&brief.name), now),
        "userDefinedMetrics": [
            {"name": "http_requests", "type": "cumulative", "units": "count", "time": now, "value": usage.requests},
        ],
    })
}

/// The Pod's running containers, with what each has used.
pub(super) fn running(view: &PodView) -> impl Iterator<Item = (&ContainerBrief, Usage)> {
    view.containers.iter().filter_map(|brief| Some((brief, brief.running.as_ref()?.usage())))
}

/// What was used until the end of the newest window, and how fast in it; before there is one, what was used until now.
/// `windowSeconds` is ours: the kubelet leaves open how long its window is.
fn cpu(used: Duration, window: Option<Window>, now: Timestamp) -> Value {
    let nanos = |used: Duration| u64::try_from(used.as_nanos()).unwrap_or(u64::MAX);
    let Some(Window { nano_cores, length, end, used }) = window else {
        return json!({"time": now, "usageCoreNanoSeconds": nanos(used)});
    };
    json!({
        "time": end, "usageCoreNanoSeconds": nanos(used), "usageNanoCores": nano_cores,
        "windowSeconds": length.as_secs_f64(),
    })
}

fn memory(usage: &Usage, now: Timestamp) -> Value {
    let bytes = usage.memory_bytes;
    json!({"time": now, "usageBytes": bytes, "workingSetBytes": bytes, "rssBytes": bytes})
}
