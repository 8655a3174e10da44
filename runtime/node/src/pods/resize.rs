//! Resizing a Pod in place: whether the node has room for what it wishes, and what that means for each container. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::observed::{ContainerView, Observed};
use super::plan::{Action, Plan};
use super::slot::{Role, Slot};
use super::spec::PodExt;
use crate::quantity;

/// The resources that can be resized.
const RESIZABLE: [&str; 2] = ["cpu", "memory"];

/// Why a wish for other resources is not fulfilled yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfulfilled {
    pub(crate) why: Why,
    pub(crate) message: String,
    /// Of which generation of the Pod this was found: another one is looked at anew.
    pub(crate) generation: Option<i64>,
    /// When to try again; never, if trying cannot help.
    pub(crate) retry_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The node is too small.
    Infeasible,
    /// The node is too full now.
    Deferred,
    /// There is room for it, and a container could not be given it yet.
    InProgress,
}

impl Why {
    /// The Pod's condition that is true meanwhile, and its reason.
    pub(crate) fn condition(self) -> (&'static str, &'static str) {
        match self {
            Why::Infeasible => ("PodResizePending", "Infeasible"),
            Why::Deferred => ("PodResizePending", "Deferred"),
            Why::InProgress => ("PodResizeInProgress", "Error"),
        }
    }
}

/// Amounts of what can be resized.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    /// Thousandths of a processor.
    pub(crate) cpu: u64,
    /// Bytes.
    pub(crate) memory: u64,
}

impl Amounts {
    /// What a node offers.
    pub(crate) fn of_node(allocatable: &BTreeMap<String, Quantity>) -> Amounts {
        Amounts {
            cpu: allocatable.get("cpu").and_then(quantity::millis).unwrap_or(0),
            memory: allocatable.get("memory").and_then(quantity::units).unwrap_or(0),
        }
    }

    /// What the containers of a Pod that stay wish for together.
    pub(crate) fn of_pod(pod: &Pod) -> Amounts {
        let containers = lasting(pod).map(|(_, container)| Amounts::of(container.resources.as_ref()));
        containers.fold(Amounts::default(), Amounts::and)
    }

    /// What is set aside for them together; for one that never ran, what it wishes for.
    pub(crate) fn allocated(pod: &Pod, observed: &Observed) -> Amounts {
        let containers = lasting(pod).map(|(slot, container)| {
            let allocated = observed.get(slot).and_then(|view| view.allocated.as_ref());
            Amounts::of(allocated.or(container.resources.as_ref()))
        });
        containers.fold(Amounts::default(), Amounts::and)
    }

    fn of(resources: Option<&ResourceRequirements>) -> Amounts {
        let request = |name| resources.and_then(|resources| resources.requests.as_ref()?.get(name));
        Amounts {
            cpu: request("cpu").and_then(quantity::millis).unwrap_or(0),
            memory: request("memory").and_then(quantity::units).unwrap_or(0),
        }
    }

    pub(crate) fn and(self, other: Amounts) -> Amounts {
        Amounts { cpu: self.cpu + other.cpu, memory: self.memory + other.memory }
    }

    fn named(self) -> [(&'static str, u64); 2] {
        [("cpu", self.cpu), ("memory", self.memory)]
    }
}

/// The containers that use resources for as long as their Pod is there.
fn lasting(pod: &Pod) -> impl Iterator<Item = (Slot, Cow<'_, Container>)> {
    let all = pod.containers().enumerate().map(|(n, container)| (Slot(n), container));
    all.filter(|(slot, _)| matches!(pod.role(*slot), Role::Main | Role::Sidecar))
}

/// Whether the node has room for a Pod that asks for `wanted`, beside what the `others` ask for; if not, why, in the
/// kubelet's words.
pub(crate) fn room(wanted: Amounts, others: Amounts, capacity: Amounts) -> Result<(), (Why, String)> {
    let each = || wanted.named().into_iter().zip(others.named()).zip(capacity.named());
    for (((name, wanted), _), (_, capacity)) in each() {
        if wanted > capacity {
            let message =
                format!("Node didn't have enough capacity: {name}, requested: {wanted}, capacity: {capacity}");
            return Err((Why::Infeasible, message));
        }
    }
    for (((name, wanted), (_, used)), (_, capacity)) in each() {
        if wanted + used > capacity {
            let message = format!(
                "Node didn't have enough resource: {name}, requested: {wanted}, used: {used}, capacity: {capacity}"
            );
            return Err((Why::Deferred, message));
        }
    }
    Ok(())
}

/// Looks anew when the wish has changed, or the time for another try has come.
pub(super) fn plan(plan: &mut Plan, pod: &Pod, observed: &Observed, now: Timestamp) {
    match &observed.unfulfilled {
        None if wishes(pod, observed) => plan.actions.push(Action::Resize),
        None => {}
        Some(unfulfilled) if unfulfilled.generation != pod.metadata.generation => plan.actions.push(Action::Resize),
        Some(unfulfilled) => {
            if let Some(moment) = unfulfilled.retry_at {
                plan.at(moment, now, Action::Resize);
            }
        }
    }
}

/// Whether a container wishes for other resources than it has.
fn wishes(pod: &Pod, observed: &Observed) -> bool {
    pod.containers()
        .zip(&observed.containers)
        .any(|(container, view)| has(view).is_some_and(|has| differs(has, &container)))
}

/// What a container has, or will have when it is started again; nothing, if that is about to be changed.
fn has(view: &ContainerView) -> Option<&ResourceRequirements> {
    match view.running() {
        Some(running) if running.stopping.is_some() || running.must_restart => None,
        Some(running) => Some(&running.given),
        None => view.allocated.as_ref(),
    }
}

/// Whether the container wishes for other resources than it was `given`.
pub(crate) fn differs(given: &ResourceRequirements, container: &Container) -> bool {
    RESIZABLE.into_iter().any(|name| differs_in(given, container, name))
}

/// Whether it has to be started anew for that.
pub(crate) fn must_restart(given: &ResourceRequirements, container: &Container) -> bool {
    let policies = container.resize_policy.iter().flatten();
    policies
        .filter(|policy| policy.restart_policy == "RestartContainer")
        .any(|policy| differs_in(given, container, &policy.resource_name))
}

fn differs_in(given: &ResourceRequirements, container: &Container, name: &str) -> bool {
    let none = ResourceRequirements::default();
    let wished = container.resources.as_ref().unwrap_or(&none);
    amount(&given.requests, name) != amount(&wished.requests, name)
        || amount(&given.limits, name) != amount(&wished.limits, name)
}

fn amount(list: &Option<BTreeMap<String, Quantity>>, name: &str) -> Option<u64> {
    list.as_ref()?.get(name).and_then(quantity::millis)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn container(resources: Value, policies: Value) -> Container {
        let container = json!({ "name": "a", "resources": resources, "resizePolicy": policies });
        serde_json::from_value(container).unwrap()
    }

    #[test]
    fn a_node_has_room_or_says_why_not() {
        let amounts = |cpu, memory| Amounts { cpu, memory };
        let capacity = amounts(2000, 1000);
        type Case<'a> = (Amounts, Amounts, Result<(), (Why, &'a str)>);
        let cases: [Case; 5] = [
            (amounts(2000, 1000), amounts(0, 0), Ok(())),
            (amounts(1500, 100), amounts(500, 900), Ok(())),
            (
                amounts(2001, 0),
                amounts(0, 0),
                Err((Why::Infeasible, "Node didn't have enough capacity: cpu, requested: 2001, capacity: 2000")),
            ),
            (
                amounts(0, 1001),
                amounts(1999, 0),
                Err((Why::Infeasible, "Node didn't have enough capacity: memory, requested: 1001, capacity: 1000")),
            ),
            (
                amounts(1500, 0),
                amounts(600, 0),
                Err((
                    Why::Deferred,
                    "Node didn't have enough resource: cpu, requested: 1500, used: 600, capacity: 2000",
                )),
            ),
        ];
        for (wanted, others, expected) in cases {
            let found = room(wanted, others, capacity);
            assert_eq!(found, expected.map_err(|(why, text)| (why, text.to_owned())), "{wanted:?} {others:?}");
        }
    }

    #[test]
    fn what_differs_may_ask_for_a_restart() {
        let given =
            container(json!({ "limits": { "memory": "64Mi", "cpu": "1" }, "requests": { "cpu": "1" } }), json!([]));
        let given = given.resources.unwrap();
        let policies = json!([
            { "resourceName": "cpu", "restartPolicy": "NotRequired" },
            { "resourceName": "memory", "restartPolicy": "RestartContainer" },
        ]);
        let cases = [
            (json!({ "limits": { "memory": "65536Ki", "cpu": "1000m" }, "requests": { "cpu": "1" } }), false, false),
            (json!({ "limits": { "memory": "64Mi", "cpu": "2" }, "requests": { "cpu": "1" } }), true, false),
            (json!({ "limits": { "memory": "64Mi", "cpu": "1" }, "requests": { "cpu": "500m" } }), true, false),
            (json!({ "limits": { "memory": "65Mi", "cpu": "1" }, "requests": { "cpu": "1" } }), true, true),
            (json!({ "limits": { "cpu": "1" }, "requests": { "cpu": "1" } }), true, true),
        ];
        for (resources, differ, restart) in cases {
            let container = container(resources.clone(), policies.clone());
            assert_eq!(differs(&given, &container), differ, "{resources}");
            assert_eq!(must_restart(&given, &container), restart, "{resources}");
        }
    }
}
