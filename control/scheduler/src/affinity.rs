use carob_volumes::node_selector::{any_term, matches};
use k8s_openapi::api::core::v1::{Pod, PreferredSchedulingTerm};

use crate::node::NodeInfo;

/// Whether the node is one that the Pod asks for: its nodeSelector and its required node affinity.
pub(crate) fn wanted(pod: &Pod, node: &NodeInfo) -> bool {
    let Some(spec) = &pod.spec else { return true };
    let selected = spec.node_selector.iter().flatten().all(|(name, value)| node.labels.get(name) == Some(value));
    let required = spec
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref())
        .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    selected && required.is_none_or(|required| any_term(required, node.view()))
}

/// The sum of the weights of the preferences that the node meets.
pub(crate) fn preference(pod: &Pod, node: &NodeInfo) -> i64 {
    preferred(pod).iter().filter(|term| matches(&term.preference, node.view())).map(|term| i64::from(term.weight)).sum()
}

fn preferred(pod: &Pod) -> &[PreferredSchedulingTerm] {
    let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()?.node_affinity.as_ref());
    affinity
        .and_then(|affinity| affinity.preferred_during_scheduling_ignored_during_execution.as_deref())
        .unwrap_or_default()
}
