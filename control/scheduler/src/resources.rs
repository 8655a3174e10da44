use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec, PodStatus, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::quantity::{thousandths, units};

const DEFAULT_CPU_FOR_SCORE: i64 = 100;
const DEFAULT_MEMORY_FOR_SCORE: i64 = 200 * 1024 * 1024;

/// Amounts of resources: asked for by a Pod, or offered by a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resources {
    /// Thousandths of a core.
    pub(crate) cpu: i64,
    /// Bytes.
    pub(crate) memory: i64,
    /// Everything else by name (`ephemeral-storage` in bytes, extended resources in pieces).
    pub(crate) other: BTreeMap<String, i64>,
}

impl Resources {
    pub(crate) fn from_list(list: Option<&BTreeMap<String, Quantity>>) -> Self {
        let mut resources = Self::default();
        for (name, quantity) in list.into_iter().flatten() {
            match name.as_str() {
                "cpu" => resources.cpu = thousandths(quantity),
                "memory" => resources.memory = units(quantity),
                _ => {
                    resources.other.insert(name.clone(), units(quantity));
                }
            }
        }
        resources
    }

    pub(crate) fn add(&mut self, more: &Self) {
        self.merge(more, i64::saturating_add);
    }

    pub(crate) fn subtract(&mut self, less: &Self) {
        self.merge(less, i64::saturating_sub);
        self.other.retain(|_, amount| *amount != 0);
    }

    fn maximum(&mut self, other: &Self) {
        self.merge(other, i64::max);
    }

    fn merge(&mut self, other: &Self, with: impl Fn(i64, i64) -> i64) {
        self.cpu = with(self.cpu, other.cpu);
        self.memory = with(self.memory, other.memory);
        for (name, amount) in &other.other {
            let entry = self.other.entry(name.clone()).or_default();
            *entry = with(*entry, *amount);
        }
    }
}

/// What a Pod takes: the sum of its containers, or the most that it needs while it initialises if that is more.
/// Init containers that keep running (restartPolicy Always) count with the containers and with every init container
/// after them.
///
/// A container that is being resized takes what it asks for or what its node has given it, whichever is more; what its
/// node can never give it does not count.
pub(crate) fn requests(spec: &PodSpec, status: &PodStatus) -> Resources {
    let infeasible = is_infeasible(status);
    total(spec, |container| {
        let held = held(status, &container.name);
        if infeasible && held != Resources::default() {
            return held;
        }
        let mut taken = from_requirements(container.resources.as_ref());
        taken.maximum(&held);
        taken
    })
}

fn from_requirements(requirements: Option<&ResourceRequirements>) -> Resources {
    Resources::from_list(requirements.and_then(|resources| resources.requests.as_ref()))
}

/// What the node has given a container.
fn held(status: &PodStatus, container: &str) -> Resources {
    let mut all = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let Some(status) = all.find(|status| status.name == container) else { return Resources::default() };
    let mut held = Resources::from_list(status.allocated_resources.as_ref());
    held.maximum(&from_requirements(status.resources.as_ref()));
    held
}

fn is_infeasible(status: &PodStatus) -> bool {
    status
        .conditions
        .iter()
        .flatten()
        .any(|condition| condition.type_ == "PodResizePending" && condition.reason.as_deref() == Some("Infeasible"))
}

/// The same for scoring, where a container that asks for nothing counts as a small one: else all would land on one
/// node.
pub(crate) fn requests_for_score(spec: &PodSpec) -> Resources {
    total(spec, |container| {
        let asked = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        let mut resources = Resources::from_list(asked);
        if !asked.is_some_and(|asked| asked.contains_key("cpu")) {
            resources.cpu = DEFAULT_CPU_FOR_SCORE;
        }
        if !asked.is_some_and(|asked| asked.contains_key("memory")) {
            resources.memory = DEFAULT_MEMORY_FOR_SCORE;
        }
        resources
    })
}

fn total(spec: &PodSpec, of: impl Fn(&Container) -> Resources) -> Resources {
    let mut running = Resources::default();
    spec.containers.iter().for_each(|container| running.add(&of(container)));
    let (sidecars, initial) = initialising(spec, &of);
    running.add(&sidecars);
    running.maximum(&initial);
    running.add(&Resources::from_list(spec.overhead.as_ref()));
    running
}

/// The sum of the sidecars, and the most that is needed at one time before the containers start.
fn initialising(spec: &PodSpec, of: impl Fn(&Container) -> Resources) -> (Resources, Resources) {
    let (mut sidecars, mut most) = (Resources::default(), Resources::default());
    for container in spec.init_containers.iter().flatten() {
        let mut needed = of(container);
        if container.restart_policy.as_deref() == Some("Always") {
            sidecars.add(&needed);
            most.maximum(&sidecars);
        } else {
            needed.add(&sidecars);
            most.maximum(&needed);
        }
    }
    (sidecars, most)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn container(cpu: &str, restart: Option<&str>) -> Container {
        let requests = BTreeMap::from([("cpu".to_owned(), Quantity(cpu.into()))]);
        Container {
            restart_policy: restart.map(str::to_owned),
            resources: Some(ResourceRequirements { requests: Some(requests), ..Default::default() }),
            ..Default::default()
        }
    }

    #[test]
    fn containers_are_summed_and_init_containers_are_not() {
        type Case<'a> = (&'a [&'a str], &'a [(&'a str, bool)], i64);
        let cases: [Case; 5] = [
            (&["100m", "200m"], &[], 300),
            (&["100m", "200m"], &[("250m", false)], 300),
            (&["100m"], &[("500m", false), ("400m", false)], 500),
            (&["100m"], &[("50m", true)], 150),
            (&["100m"], &[("50m", true), ("300m", false)], 350),
        ];
        for (containers, init, expected) in cases {
            let spec = PodSpec {
                containers: containers.iter().map(|cpu| container(cpu, None)).collect(),
                init_containers: Some(
                    init.iter().map(|(cpu, always)| container(cpu, always.then_some("Always"))).collect(),
                ),
                ..Default::default()
            };
            assert_eq!(requests(&spec, &PodStatus::default()).cpu, expected, "{containers:?} {init:?}");
        }
    }

    #[test]
    fn a_container_that_is_resized_takes_the_larger_of_both() {
        let pending = |reason: &str| json!([{ "type": "PodResizePending", "status": "True", "reason": reason }]);
        let cases: [(Value, i64); 5] = [
            (json!({}), 200),
            (json!({ "containerStatuses": [status("100m", "100m")] }), 200),
            (json!({ "containerStatuses": [status("100m", "300m")] }), 300),
            (json!({ "containerStatuses": [status("100m", "100m")], "conditions": pending("Deferred") }), 200),
            (json!({ "containerStatuses": [status("100m", "100m")], "conditions": pending("Infeasible") }), 100),
        ];
        let spec = PodSpec {
            containers: vec![Container { name: "a".into(), ..container("200m", None) }],
            ..Default::default()
        };
        for (status, expected) in cases {
            let found = requests(&spec, &serde_json::from_value(status.clone()).unwrap()).cpu;
            assert_eq!(found, expected, "{status}");
        }
    }

    fn status(allocated: &str, actual: &str) -> Value {
        json!({
            "name": "a", "image": "", "imageID": "", "ready": true, "restartCount": 0,
            "allocatedResources": { "cpu": allocated }, "resources": { "requests": { "cpu": actual } },
        })
    }

    #[test]
    fn nothing_asked_for_counts_as_little_in_the_score_only() {
        let spec = PodSpec { containers: vec![Container::default()], ..Default::default() };
        assert_eq!(requests(&spec, &PodStatus::default()), Resources::default());
        assert_eq!(requests_for_score(&spec).cpu, DEFAULT_CPU_FOR_SCORE);
    }
}
