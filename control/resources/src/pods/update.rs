//! What of a Pod's spec may still be changed.

use crate::cause::Causes;
use crate::diff::changes;
use crate::json::{at, has, int, items_mut, list, remove, section, set, text};
use crate::{Cause, Path};
use serde_json::Value;

const ONLY: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

pub(super) fn validate(new: &Value, old: &Value) -> Vec<Cause> {
    let (spec, held) = (at(new, "/spec"), at(old, "/spec"));
    let path = Path::new("spec");
    let mut found = Causes::default();
    for field in ["containers", "initContainers"] {
        let pointer = format!("/{field}");
        if list(spec, &pointer).len() != list(held, &pointer).len() {
            let kind = if field == "containers" { "containers" } else { "init containers" };
            let detail = format!("pod updates may not add or remove {kind}");
            found.push(Cause::forbidden(&path.child(field), &detail));
            return found.into_vec();
        }
    }
    check_deadline(spec, held, &path, &mut found);
    check_gates(spec, held, &path, &mut found);
    check_tolerations(spec, held, &path, &mut found);
    check_rest(spec, held, &path, &mut found);
    found.into_vec()
}

fn check_deadline(spec: &Value, held: &Value, path: &Path, found: &mut Causes) {
    let path = path.child("activeDeadlineSeconds");
    match (int(spec, "/activeDeadlineSeconds"), int(held, "/activeDeadlineSeconds")) {
        (Some(new), Some(old)) if new > old => {
            found.push(Cause::invalid(&path, new, "must be less than or equal to previous value"));
        }
        (None, Some(_)) => {
            found.push(Cause::invalid(&path, Value::Null, "must not update from a positive integer to nil value"));
        }
        _ => {}
    }
}

fn check_gates(spec: &Value, held: &Value, path: &Path, found: &mut Causes) {
    let kept = list(held, "/schedulingGates");
    for gate in list(spec, "/schedulingGates").iter().filter(|gate| !kept.contains(gate)) {
        let detail = format!("only deletion is allowed, but found new scheduling gate '{}'", text(gate, "/name"));
        found.push(Cause::forbidden(&path.child("schedulingGates"), &detail));
    }
}

fn check_tolerations(spec: &Value, held: &Value, path: &Path, found: &mut Causes) {
    let plain = |toleration: &Value| {
        let mut plain = toleration.clone();
        remove(&mut plain, "tolerationSeconds");
        plain
    };
    let wanted: Vec<Value> = list(spec, "/tolerations").iter().map(plain).collect();
    if list(held, "/tolerations").iter().map(plain).any(|toleration| !wanted.contains(&toleration)) {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        found.push(Cause::forbidden(&path.child("tolerations"), detail));
    }
}

fn check_rest(spec: &Value, held: &Value, path: &Path, found: &mut Causes) {
    let mut allowed = spec.clone();
    take_over_images(&mut allowed, held);
    let mut free = vec!["activeDeadlineSeconds", "tolerations"];
    let grace = "terminationGracePeriodSeconds";
    if int(held, "/terminationGracePeriodSeconds").is_some_and(|seconds| seconds < 0)
        && int(spec, "/terminationGracePeriodSeconds") == Some(1)
    {
        free.push(grace);
    }
    if has(held, "/schedulingGates") {
        free.extend(["schedulingGates", "nodeSelector", "affinity"]);
    }
    for field in free {
        crate::strategy::carry_over(&mut allowed, held, field);
    }
    if let Some(changes) = changes(held, &allowed) {
        found.push(Cause::forbidden(path, &format!("{ONLY}\n{changes}")));
    }
}

/// Images may change, so they are not compared.
fn take_over_images(spec: &mut Value, held: &Value) {
    for pointer in ["/containers", "/initContainers"] {
        for (container, old) in items_mut(spec, pointer).zip(list(held, pointer)) {
            set(container, "image", text(old, "/image"));
        }
    }
    section(spec, "securityContext");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::tests::pod;
    use serde_json::json;

    #[test]
    fn images_tolerations_and_deadlines_may_change() {
        let old = pod();
        let mut new = old.clone();
        new["spec"]["containers"][0]["image"] = json!("hello:2");
        new["spec"]["activeDeadlineSeconds"] = json!(10);
        new["spec"]["tolerations"].as_array_mut().unwrap().push(json!({ "operator": "Exists" }));
        assert_eq!(validate(&new, &old), []);
    }

    #[test]
    fn the_rest_may_not() {
        let old = pod();
        let mut command = old.clone();
        command["spec"]["containers"][0]["command"] = json!(["x"]);
        let mut more = old.clone();
        more["spec"]["containers"].as_array_mut().unwrap().push(json!({ "name": "b" }));
        let mut fewer = old.clone();
        fewer["spec"]["tolerations"] = json!([]);
        let changed = format!("Forbidden: {ONLY}\n@@ -1,6 +1,9 @@\n");
        let cases = [
            (command, "spec", changed.as_str()),
            (more, "spec.containers", "Forbidden: pod updates may not add or remove containers"),
            (fewer, "spec.tolerations", "Forbidden: existing toleration can not be modified"),
        ];
        for (new, field, message) in cases {
            let found = validate(&new, &old);
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].field, field);
            assert!(found[0].message.starts_with(message), "{}", found[0].message);
        }
    }
}
