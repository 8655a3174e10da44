//! What the node tells in Prometheus' text format: at `/metrics/resource` what it and its Pods use, in the kubelet's names;
//! at `/metrics` what it did.

use std::fmt::Write;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use carob_net::Denied;

use super::{Shown, stats};
use crate::machine::MachineUse;
use crate::runtime::Usage;
use crate::stats::started_at;

struct Sample {
    labels: String,
    value: f64,
}

/// What is told of one container or Pod.
struct Told {
    labels: String,
    usage: Usage,
    started: Option<f64>,
}

pub(super) async fn resource(State(shown): State<Shown>) -> impl IntoResponse {
    let (containers, pods) = told(&shown);
    let machine = MachineUse::read(&shown.data_dir);
    exposition(text(&containers, &pods, &machine))
}

pub(super) async fn node(State(shown): State<Shown>) -> impl IntoResponse {
    let denied: Vec<Sample> = shown.networks.denied().iter().map(denied_flows).collect();
    let mut out = String::new();
    family(&mut out, &DENIED_FLOWS, &denied);
    out.push_str(&shown.networks.metrics());
    exposition(out)
}

fn denied_flows(Denied { protocol, direction, reason, flows }: &Denied) -> Sample {
    let labels = format!("direction=\"{direction}\",protocol=\"{protocol}\",reason=\"{reason}\"");
    Sample { labels, value: *flows as f64 }
}

fn exposition(text: String) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

fn told(shown: &Shown) -> (Vec<Told>, Vec<Told>) {
    let (mut containers, mut pods) = (Vec::new(), Vec::new());
    for view in shown.table.all() {
        let meta = &view.pod.metadata;
        let (pod, namespace) = (meta.name.as_deref().unwrap_or(""), meta.namespace.as_deref().unwrap_or(""));
        let own = format!("namespace=\"{namespace}\",pod=\"{pod}\"");
        let mut total = Usage { memory_bytes: view.volume_memory(), ..Usage::default() };
        for (brief, usage) in stats::running(&view) {
            total.cpu += usage.cpu;
            total.memory_bytes += usage.memory_bytes;
            let started = started_at(&view.pod, &brief.name).map(|time| time.as_millisecond() as f64 / 1000.0);
            containers.push(Told { labels: format!("container=\"{}\",{own}", brief.name), usage, started });
        }
        pods.push(Told { labels: own, usage: total, started: None });
    }
    (containers, pods)
}

fn text(containers: &[Told], pods: &[Told], machine: &MachineUse) -> String {
    let mut out = String::new();
    let cpu = |told: &Told| Some(told.usage.cpu.as_secs_f64());
    let memory = |told: &Told| Some(told.usage.memory_bytes as f64);
    family(&mut out, &CONTAINER_CPU, &samples(containers, cpu));
    family(&mut out, &CONTAINER_REQUESTS, &samples(containers, |told| Some(told.usage.requests as f64)));
    family(&mut out, &CONTAINER_MEMORY, &samples(containers, memory));
    family(&mut out, &CONTAINER_START, &samples(containers, |told| told.started));
    family(&mut out, &NODE_CPU, &whole(machine.cpu.map(|cpu| cpu.as_secs_f64())));
    family(&mut out, &NODE_MEMORY, &whole(machine.memory.map(|memory| memory.used() as f64)));
    family(&mut out, &POD_CPU, &samples(pods, cpu));
    family(&mut out, &POD_MEMORY, &samples(pods, memory));
    // What cannot be read is left out above, and counts as an error here.
    let failed = machine.cpu.is_none() || machine.memory.is_none();
    family(&mut out, &SCRAPE_ERROR, &whole(Some(f64::from(u8::from(failed)))));
    out
}

fn samples(told: &[Told], value: impl Fn(&Told) -> Option<f64>) -> Vec<Sample> {
    told.iter().filter_map(|told| Some(Sample { labels: told.labels.clone(), value: value(told)? })).collect()
}

/// The one sample of something that is told of the node as a whole.
fn whole(value: Option<f64>) -> Vec<Sample> {
    value.map(|value| Sample { labels: String::new(), value }).into_iter().collect()
}

/// A family of samples: its name, its type and what it says.
type Family = (&'static str, &'static str, &'static str);

const CONTAINER_CPU: Family = (
    "container_cpu_usage_seconds_total",
    "counter",
    "[STABLE] Cumulative cpu time consumed by the container in core-seconds",
);
const CONTAINER_REQUESTS: Family =
    ("container_http_requests_total", "counter", "HTTP requests that were handed to the container");
const CONTAINER_MEMORY: Family =
    ("container_memory_working_set_bytes", "gauge", "[STABLE] Current working set of the container in bytes");
const CONTAINER_START: Family =
    ("container_start_time_seconds", "gauge", "[STABLE] Start time of the container since unix epoch in seconds");
const NODE_CPU: Family =
    ("node_cpu_usage_seconds_total", "counter", "[STABLE] Cumulative cpu time consumed by the node in core-seconds");
const NODE_MEMORY: Family =
    ("node_memory_working_set_bytes", "gauge", "[STABLE] Current working set of the node in bytes");
const POD_CPU: Family =
    ("pod_cpu_usage_seconds_total", "counter", "[STABLE] Cumulative cpu time consumed by the pod in core-seconds");
const POD_MEMORY: Family =
    ("pod_memory_working_set_bytes", "gauge", "[STABLE] Current working set of the pod in bytes");
const SCRAPE_ERROR: Family =
    ("resource_scrape_error", "gauge", "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise");
const DENIED_FLOWS: Family = (
    "carob_network_flows_denied_total",
    "counter",
    "Flows of Pods that were denied: connections, HTTP requests and datagrams, by direction, protocol and reason",
);

/// Writes a family, unless it is empty. Names of Pods, namespaces and containers have nothing to escape.
fn family(out: &mut String, (name, kind, help): &Family, samples: &[Sample]) {
    if samples.is_empty() {
        return;
    }
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for Sample { labels, value } in samples {
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(out, "{name}{braces} {value}");
    }
}
