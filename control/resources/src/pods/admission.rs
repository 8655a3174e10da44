//! What Kubernetes' built-in admission does to a new Pod: its account, its priority, how long it stays on a node that is lost.

use crate::cause::Causes;
use crate::json::{fill, fill_text, list, section, set, text};
use crate::{Cause, Path};
use serde_json::{Value, json};

const LOST_NODE_TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
const LOST_NODE_SECONDS: i64 = 300;
/// The priority classes that every cluster has.
const PRIORITIES: [(&str, i64); 2] =
    [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

pub(super) fn admit(spec: &mut Value) {
    fill_text(spec, "serviceAccountName", "default");
    let account = text(spec, "/serviceAccountName").to_owned();
    fill_text(spec, "serviceAccount", &account);
    set(spec, "priority", priority(text(spec, "/priorityClassName")).unwrap_or(0));
    fill_text(spec, "preemptionPolicy", "PreemptLowerPriority");
    section(spec, "securityContext");
    for taint in LOST_NODE_TAINTS {
        tolerate_for_a_while(spec, taint);
    }
}

/// What is wrong with a new Pod's wishes, as admission sees it.
pub(super) fn validate(spec: &Value, path: &Path) -> Vec<Cause> {
    let mut found = Causes::default();
    let class = text(spec, "/priorityClassName");
    if !class.is_empty() && priority(class).is_none() {
        let detail = format!("no PriorityClass with name {class} was found");
        found.push(Cause::forbidden(&path.child("priorityClassName"), &detail));
    }
    found.into_vec()
}

fn priority(class: &str) -> Option<i64> {
    PRIORITIES.iter().find(|(name, _)| *name == class).map(|(_, priority)| *priority)
}

fn tolerate_for_a_while(spec: &mut Value, taint: &str) {
    let tolerated = list(spec, "/tolerations").iter().any(|toleration| {
        let (key, effect) = (text(toleration, "/key"), text(toleration, "/effect"));
        (key == taint || key.is_empty()) && (effect == "NoExecute" || effect.is_empty())
    });
    if tolerated {
        return;
    }
    let toleration = json!({
        "key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": LOST_NODE_SECONDS,
    });
    fill(spec, "tolerations", json!([]));
    if let Some(tolerations) = spec.get_mut("tolerations").and_then(Value::as_array_mut) {
        tolerations.push(toleration);
    }
}
