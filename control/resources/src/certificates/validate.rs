//! What a request must look like.

use crate::cause::Causes;
use crate::certificates::{APPROVED, DENIED};
use crate::json::{at, int, is_empty, list, text};
use crate::names;
use crate::{Cause, Path};
use serde_json::Value;
use std::collections::BTreeSet;

const USAGES: &[&str] = &[
    "signing",
    "digital signature",
    "content commitment",
    "key encipherment",
    "key agreement",
    "data encipherment",
    "cert sign",
    "crl sign",
    "encipher only",
    "decipher only",
    "any",
    "server auth",
    "client auth",
    "code signing",
    "email protection",
    "s/mime",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "timestamping",
    "ocsp signing",
    "microsoft sgc",
    "netscape sgc",
];
const LEAST_SECONDS: i64 = 600;
const LEGACY_SIGNER: &str = "kubernetes.io/legacy-unknown";

pub(super) fn check(object: &Value) -> Vec<Cause> {
    let mut found = Causes::default();
    let spec = Path::new("spec");
    if is_empty(object, "/spec/request") {
        found.push(Cause::required(&spec.child("request"), ""));
    }
    check_usages(list(object, "/spec/usages"), &spec.child("usages"), &mut found);
    check_signer(text(object, "/spec/signerName"), &spec.child("signerName"), &mut found);
    check_conditions(list(object, "/status/conditions"), &Path::new("status.conditions"), &mut found);
    found.into_vec()
}

pub(super) fn check_new(object: &Value) -> Vec<Cause> {
    let mut found = Causes::default();
    let spec = Path::new("spec");
    if int(object, "/spec/expirationSeconds").is_some_and(|seconds| seconds < LEAST_SECONDS) {
        let value = at(object, "/spec/expirationSeconds").clone();
        let detail = "may not specify a duration less than 600 seconds (10 minutes)";
        found.push(Cause::invalid(&spec.child("expirationSeconds"), value, detail));
    }
    if text(object, "/spec/signerName") == LEGACY_SIGNER {
        let detail = "the legacy signerName is not allowed via this API version";
        found.push(Cause::invalid(&spec.child("signerName"), LEGACY_SIGNER, detail));
    }
    found.into_vec()
}

fn check_usages(usages: &[Value], path: &Path, found: &mut Causes) {
    if usages.is_empty() {
        found.push(Cause::required(path, "usages is required"));
    }
    let mut seen = BTreeSet::new();
    for (index, usage) in usages.iter().filter_map(Value::as_str).enumerate() {
        found.one_of(&path.index(index), usage, USAGES);
        if !seen.insert(usage) {
            found.push(Cause::duplicate(&path.index(index), usage));
        }
    }
}

/// `example.com/signer-name`
fn check_signer(signer: &str, path: &Path, found: &mut Causes) {
    if signer.is_empty() {
        return found.push(Cause::required(path, ""));
    }
    let Some((domain, name)) = signer.split_once('/').filter(|(_, name)| !name.contains('/')) else {
        let detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        return found.push(Cause::invalid(path, signer, detail));
    };
    found.invalid_each(path, domain, names::dns1123_subdomain(domain));
    if !domain.contains('.') {
        found.push(Cause::invalid(path, domain, "should be a domain with at least two segments separated by dots"));
    }
    found.invalid_each(path, name, names::dns1123_subdomain(name));
}

fn check_conditions(conditions: &[Value], path: &Path, found: &mut Causes) {
    let mut seen = BTreeSet::new();
    for (index, condition) in conditions.iter().enumerate() {
        let path = path.index(index);
        let (kind, status) = (text(condition, "/type"), text(condition, "/status"));
        if kind.is_empty() {
            found.push(Cause::required(&path.child("type"), ""));
        }
        // These three cannot be taken back, so they have one status only.
        let allowed: &[&str] = if super::is_decision(kind) { &["True"] } else { &["False", "True", "Unknown"] };
        match status {
            "" => found.push(Cause::required(&path.child("status"), "")),
            status => found.one_of(&path.child("status"), status, allowed),
        }
        if !seen.insert(kind) {
            found.push(Cause::duplicate(&path.child("type"), kind));
        }
    }
    if seen.contains(APPROVED) && seen.contains(DENIED) {
        found.push(Cause::invalid(path, DENIED, "Approved and Denied conditions are mutually exclusive"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(change: Value) -> Value {
        let mut spec = json!({
            "request": "YQ==", "signerName": "kubernetes.io/kubelet-serving",
            "usages": ["digital signature", "server auth"],
        });
        spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({ "spec": spec })
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        assert_eq!(check(&request(json!({}))), []);
        let cases = [
            (json!({ "request": "" }), "spec.request: Required value"),
            (json!({ "usages": [] }), "spec.usages: Required value: usages is required"),
            (json!({ "usages": ["any", "any"] }), "spec.usages[1]: Duplicate value: \"any\""),
            (
                json!({ "signerName": "plain" }),
                "spec.signerName: Invalid value: \"plain\": must be a fully qualified domain and path of the form 'example.com/signer-name'",
            ),
            (
                json!({ "signerName": "local/x" }),
                "spec.signerName: Invalid value: \"local\": should be a domain with at least two segments separated by dots",
            ),
        ];
        for (change, expected) in cases {
            let causes = check(&request(change.clone()));
            assert_eq!(format!("{}: {}", causes[0].field, causes[0].message), expected, "{change}");
        }
    }

    #[test]
    fn a_certificate_is_asked_for_ten_minutes_at_least_and_of_a_known_signer() {
        let causes = check_new(&request(json!({ "expirationSeconds": 599, "signerName": LEGACY_SIGNER })));
        let fields: Vec<_> = causes.iter().map(|cause| cause.field.as_str()).collect();
        assert_eq!(fields, ["spec.expirationSeconds", "spec.signerName"]);
        assert_eq!(check_new(&request(json!({ "expirationSeconds": 600 }))), []);
    }

    #[test]
    fn nothing_is_approved_and_denied() {
        let mut request = request(json!({}));
        request["status"] = json!({ "conditions": [
            { "type": "Approved", "status": "True" }, { "type": "Denied", "status": "False" },
        ] });
        let messages: Vec<_> = check(&request).into_iter().map(|cause| cause.message).collect();
        assert_eq!(messages[0], "Unsupported value: \"False\": supported values: \"True\"");
        assert_eq!(messages[1], "Invalid value: \"Denied\": Approved and Denied conditions are mutually exclusive");
    }
}
