//! CertificateSigningRequests.

mod update;
mod validate;

use crate::age::human;
use crate::json::{at, int, is_empty, list, set, text};
use crate::resource::{Resource, Scope, Subresource};
use crate::strategy::carry_over;
use crate::table::{AGE, NAME, age_cell, name};
use crate::{Cause, Column, Strategy};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) const CERTIFICATE_SIGNING_REQUESTS: Resource = Resource {
    group: "certificates.k8s.io",
    version: "v1",
    kind: "CertificateSigningRequest",
    plural: "certificatesigningrequests",
    singular: "certificatesigningrequest",
    short_names: &["csr"],
    categories: &[],
    scope: Scope::Cluster,
    subresources: &[Subresource::Status, Subresource::Approval],
    storage: "certificatesigningrequests",
    strategy: &Requests,
};

const COLUMNS: &[Column] = &[
    NAME,
    AGE,
    Column::plain("SignerName", "string", "Indicates the requested signer."),
    Column::plain("Requestor", "string", "Contains information about the requesting user."),
    Column::plain("RequestedDuration", "string", "Requested duration of validity of the issued certificate."),
    Column::plain("Condition", "string", "The conditions applied to the request."),
];

const APPROVED: &str = "Approved";
const DENIED: &str = "Denied";
const FAILED: &str = "Failed";

struct Requests;

impl Strategy for Requests {
    /// Nobody approves by asking. Who asks is the server's to say.
    fn prepare_create(&self, object: &mut Value, _now: Timestamp) {
        set(object, "status", json!({}));
    }

    fn prepare_update(&self, new: &mut Value, old: &Value) {
        carry_over(new, old, "spec");
        carry_over(new, old, "status");
    }

    fn prepare_part(&self, _part: Subresource, new: &mut Value, old: &Value) {
        let conditions = at(new, "/status/conditions").clone();
        *new = old.clone();
        if !new["status"].is_object() {
            set(new, "status", json!({}));
        }
        set(&mut new["status"], "conditions", conditions);
    }

    fn has_generation(&self) -> bool {
        false
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        validate::check(object)
    }

    fn validate_create(&self, object: &Value) -> Vec<Cause> {
        validate::check_new(object)
    }

    fn validate_status(&self, new: &Value, old: &Value) -> Vec<Cause> {
        update::check(new, old, update::Allowed::Certificate)
    }

    fn validate_part(&self, _part: Subresource, new: &Value, old: &Value) -> Vec<Cause> {
        update::check(new, old, update::Allowed::Approval)
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        let or_none = |text: &str| if text.is_empty() { "<none>".to_owned() } else { text.to_owned() };
        vec![
            name(object),
            age_cell(object, now),
            or_none(text(object, "/spec/signerName")).into(),
            text(object, "/spec/username").into(),
            int(object, "/spec/expirationSeconds").map_or_else(|| "<none>".to_owned(), human).into(),
            condition(object).into(),
        ]
    }

    fn selectable_fields(&self, object: &Value) -> Vec<(&'static str, String)> {
        vec![("spec.signerName", text(object, "/spec/signerName").to_owned())]
    }
}

/// A condition that is never taken back.
fn is_decision(kind: &str) -> bool {
    [APPROVED, DENIED, FAILED].contains(&kind)
}

/// What has become of a request, in one word or a few.
fn condition(object: &Value) -> String {
    let conditions = list(object, "/status/conditions");
    let has = |kind: &str| conditions.iter().any(|condition| text(condition, "/type") == kind);
    let decided = [DENIED, APPROVED].into_iter().find(|kind| has(kind)).unwrap_or("Pending");
    let mut words = vec![decided];
    words.extend(has(FAILED).then_some(FAILED));
    words.extend((!is_empty(object, "/status/certificate")).then_some("Issued"));
    words.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(status: Value) -> Value {
        let spec = json!({
            "signerName": "kubernetes.io/kubelet-serving", "username": "system:node:n1", "expirationSeconds": 7200,
        });
        json!({ "metadata": { "name": "csr-1" }, "spec": spec, "status": status })
    }

    #[test]
    fn a_row_says_who_asks_whom_and_what_became_of_it() {
        let approved = json!([{ "type": "Approved", "status": "True" }]);
        let cases = [
            (json!({}), "Pending"),
            (json!({ "conditions": approved }), "Approved"),
            (json!({ "conditions": approved, "certificate": "YQ==" }), "Approved,Issued"),
            (json!({ "conditions": [{ "type": "Denied" }] }), "Denied"),
            (json!({ "conditions": [{ "type": "Approved" }, { "type": "Failed" }] }), "Approved,Failed"),
        ];
        for (status, expected) in cases {
            let row = Requests.cells(&request(status.clone()), Timestamp::UNIX_EPOCH);
            let signer = json!("kubernetes.io/kubelet-serving");
            assert_eq!(row[2..], [signer, json!("system:node:n1"), json!("120m"), json!(expected)], "{status}");
        }
    }

    #[test]
    fn an_update_changes_nothing_that_was_asked_for_or_decided() {
        let old = request(json!({ "conditions": [{ "type": "Denied", "status": "True" }] }));
        let mut new = json!({ "metadata": { "labels": { "a": "b" } }, "spec": { "signerName": "x/y" }, "status": {} });
        Requests.prepare_update(&mut new, &old);
        assert_eq!((&new["spec"], &new["status"]), (&old["spec"], &old["status"]));
        assert_eq!(new["metadata"]["labels"]["a"], "b");
    }
}
