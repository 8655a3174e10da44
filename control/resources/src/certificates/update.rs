//! What may become of a request: who approves does not sign, who signs does not approve, and nothing is taken back.

use crate::cause::Causes;
use crate::certificates::{APPROVED, DENIED, FAILED};
use crate::json::{is_empty, list, text};
use crate::{Cause, Path};
use serde_json::Value;

/// What an update may add.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// Approved or Denied.
    Approval,
    /// The certificate, or Failed.
    Certificate,
}

pub(super) fn check(new: &Value, old: &Value, allowed: Allowed) -> Vec<Cause> {
    let mut found = Causes::default();
    let conditions = Path::new("status.conditions");
    for kind in [APPROVED, DENIED, FAILED] {
        let is_approval = kind != FAILED;
        let may_add = is_approval == (allowed == Allowed::Approval);
        if let Some(act) = forbidden(condition(new, kind), condition(old, kind), may_add) {
            found.push(Cause::forbidden(&conditions, &format!("updates may not {act} a condition of type {kind:?}")));
        }
    }
    let certificate = Path::new("status.certificate");
    let changed = new.pointer("/status/certificate") != old.pointer("/status/certificate");
    if changed && !is_empty(old, "/status/certificate") {
        found.push(Cause::forbidden(&certificate, "updates may not change certificate content"));
    }
    found.into_vec()
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    list(object, "/status/conditions").iter().find(|condition| text(condition, "/type") == kind)
}

/// What is done to a condition that may not be done.
fn forbidden(new: Option<&Value>, old: Option<&Value>, may_add: bool) -> Option<&'static str> {
    match (new, old) {
        (None, Some(_)) => Some("remove"),
        (Some(_), None) if !may_add => Some("add"),
        (Some(new), Some(old)) if new != old && !may_add => Some("modify"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(conditions: &[&str], certificate: &str) -> Value {
        let conditions: Vec<Value> = conditions.iter().map(|kind| json!({ "type": kind, "status": "True" })).collect();
        json!({ "status": { "conditions": conditions, "certificate": certificate } })
    }

    #[test]
    fn approving_and_signing_are_two_things() {
        use Allowed::{Approval, Certificate};
        let cases = [
            (of(&[], ""), of(&["Approved"], ""), Approval, None),
            (
                of(&[], ""),
                of(&["Approved"], ""),
                Certificate,
                Some("updates may not add a condition of type \"Approved\""),
            ),
            (of(&["Denied"], ""), of(&[], ""), Approval, Some("updates may not remove a condition of type \"Denied\"")),
            (of(&["Approved"], ""), of(&["Approved", "Failed"], ""), Certificate, None),
            (of(&[], ""), of(&["Failed"], ""), Approval, Some("updates may not add a condition of type \"Failed\"")),
            (of(&["Approved"], ""), of(&["Approved"], "YQ=="), Certificate, None),
            (
                of(&["Approved"], "YQ=="),
                of(&["Approved"], "Yg=="),
                Certificate,
                Some("updates may not change certificate content"),
            ),
        ];
        for (old, new, allowed, expected) in cases {
            let causes = check(&new, &old, allowed);
            let told = causes.first().map(|cause| cause.message.clone());
            assert_eq!(told, expected.map(|detail| format!("Forbidden: {detail}")), "{old} {new}");
        }
    }
}
