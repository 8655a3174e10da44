//! `/metrics/resource`: what containers use, in Prometheus' text format and the kubelet's names.

use std::fmt::Write;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::{Shown, stats};
use crate::registration::resident_bytes;
use crate::runtime::Usage;

struct Sample {
    labels: String,
    usage: Usage,
}

pub(super) async fn resource(State(shown): State<Shown>) -> impl IntoResponse {
    let mut containers = Vec::new();
    let mut pods = Vec::new();
    for view in shown.table.all() {
        let meta = &view.pod.metadata;
        let (pod, namespace) = (meta.name.as_deref().unwrap_or(""), meta.namespace.as_deref().unwrap_or(""));
        let mut total = Usage::default();
        for (name, usage) in stats::running(&view) {
            total.cpu += usage.cpu;
            total.memory_bytes += usage.memory_bytes;
            let labels = format!("container=\"{name}\",namespace=\"{namespace}\",pod=\"{pod}\"");
            containers.push(Sample { labels, usage });
        }
        pods.push(Sample { labels: format!("namespace=\"{namespace}\",pod=\"{pod}\""), usage: total });
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text(&containers, &pods))
}

fn text(containers: &[Sample], pods: &[Sample]) -> String {
    let mut out = String::new();
    family(&mut out, "container_cpu_usage_seconds_total", "counter", containers, cpu);
    family(&mut out, "container_memory_working_set_bytes", "gauge", containers, memory);
    family(&mut out, "pod_cpu_usage_seconds_total", "counter", pods, cpu);
    family(&mut out, "pod_memory_working_set_bytes", "gauge", pods, memory);
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# TYPE node_memory_working_set_bytes gauge");
    let _ = writeln!(out, "node_memory_working_set_bytes {}", resident_bytes());
    out
}

fn family(out: &mut String, name: &str, kind: &str, samples: &[Sample], value: fn(&Usage) -> f64) {
    let _ = writeln!(out, "# TYPE {name} {kind}");
    for sample in samples {
        let _ = writeln!(out, "{name}{{{}}} {}", sample.labels, value(&sample.usage));
    }
}

fn cpu(usage: &Usage) -> f64 {
    usage.cpu.as_secs_f64()
}

fn memory(usage: &Usage) -> f64 {
    usage.memory_bytes as f64
}
