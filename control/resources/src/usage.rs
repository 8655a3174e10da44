//! `metrics.k8s.io`: what nodes and Pods use. Nobody keeps these objects; they are made up when somebody asks.

use crate::json::{list, text};
use crate::quantity::Quantity;
use crate::table::{NAME, name};
use crate::{Column, Resource, Scope, Strategy};
use jiff::Timestamp;
use serde_json::Value;

static COMPUTED: [Resource; 2] = [
    Resource {
        group: "metrics.k8s.io",
        version: "v1beta1",
        kind: "NodeMetrics",
        plural: "nodes",
        singular: "",
        short_names: &[],
        categories: &[],
        scope: Scope::Cluster,
        subresources: &[],
        storage: "",
        strategy: &Usage,
    },
    Resource {
        group: "metrics.k8s.io",
        version: "v1beta1",
        kind: "PodMetrics",
        plural: "pods",
        singular: "",
        short_names: &[],
        categories: &[],
        scope: Scope::Namespaced,
        subresources: &[],
        storage: "",
        strategy: &Usage,
    },
];

/// The resources that are not stored but computed: they can be got and listed only.
pub fn computed() -> &'static [Resource] {
    &COMPUTED
}

struct Usage;

impl Strategy for Usage {
    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            Column::plain("cpu", "string", "Processor time used per second, averaged over the window."),
            Column::plain("memory", "string", "Memory in use."),
            Column::plain("Window", "string", "The time over which the processor was watched."),
        ];
        COLUMNS
    }

    fn cells(&self, object: &Value, _now: Timestamp) -> Vec<Value> {
        vec![name(object), total(object, "cpu"), total(object, "memory"), text(object, "/window").into()]
    }
}

/// A node's own usage, or the sum over a Pod's containers.
fn total(object: &Value, resource: &str) -> Value {
    let pointer = format!("/usage/{resource}");
    let own = std::iter::once(text(object, &pointer));
    let all = own.chain(list(object, "/containers").iter().map(|container| text(container, &pointer)));
    let sum = all.filter_map(|amount| Quantity::parse(amount).ok()).fold(Quantity::ZERO, |sum, amount| sum + amount);
    sum.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pods_row_is_the_sum_of_its_containers() {
        let pod = json!({
            "metadata": { "name": "web" }, "window": "5.1s",
            "containers": [
                { "name": "a", "usage": { "cpu": "1500000n", "memory": "1024Ki" } },
                { "name": "b", "usage": { "cpu": "500000n", "memory": "512Ki" } },
            ],
        });
        assert_eq!(Usage.cells(&pod, Timestamp::UNIX_EPOCH), ["web", "2m", "1536Ki", "5.1s"].map(Value::from));
        let node = json!({ "metadata": { "name": "n1" }, "window": "5s", "usage": { "cpu": "250m", "memory": "1Gi" } });
        assert_eq!(Usage.cells(&node, Timestamp::UNIX_EPOCH), ["n1", "250m", "1Gi", "5s"].map(Value::from));
    }
}
