//! Who asks for a certificate is whoever is asking, and what is asked for can be read.

use base64::{Engine, engine::general_purpose::STANDARD};
use carob_pki::CertificateRequest;
use carob_resources::{Cause, Path};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{Identity, status::Status, verbs::Call, verbs::seconds};

/// The signer of certificates by which people are whoever their certificate says.
const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";
const MASTERS: &str = "system:masters";

/// Writes down who asks, and refuses what cannot be read.
pub(super) fn admit(call: &Call, request: &mut Value) -> Result<(), Status> {
    let wanted = read(call, request)?;
    let is_for_people = request["spec"]["signerName"] == CLIENT_SIGNER;
    if is_for_people && wanted.organizations.iter().any(|group| group == MASTERS) {
        let why = format!("use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed");
        return Err(Status::forbidden(call.served.resource, name(request), why));
    }
    if let Some(spec) = request["spec"].as_object_mut() {
        sign_with(spec, &call.identity);
    }
    Ok(())
}

/// The request for a certificate that stands in the object.
pub(super) fn read(call: &Call, request: &Value) -> Result<CertificateRequest, Status> {
    let encoded = request["spec"]["request"].as_str().unwrap_or_default();
    let pem = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    CertificateRequest::parse(&pem).map_err(|error| {
        let cause = Cause::invalid(&Path::new("spec.request"), encoded, &error.to_string());
        Status::invalid(call.served.resource, name(request), &[cause])
    })
}

fn name(request: &Value) -> &str {
    request["metadata"]["name"].as_str().unwrap_or_default()
}

fn sign_with(spec: &mut Map<String, Value>, identity: &Identity) {
    for field in ["username", "uid", "groups", "extra"] {
        spec.remove(field);
    }
    spec.insert("username".to_owned(), json!(identity.user));
    spec.insert("groups".to_owned(), json!(identity.groups));
    if !identity.uid.is_empty() {
        spec.insert("uid".to_owned(), json!(identity.uid));
    }
    if !identity.extra.is_empty() {
        spec.insert("extra".to_owned(), json!(identity.extra));
    }
}

/// Gives conditions the times that whoever wrote them left out.
pub(super) fn stamp(new: &mut Value, old: &Value, now: Timestamp) {
    let held = old["status"]["conditions"].as_array().cloned().unwrap_or_default();
    for condition in new["status"]["conditions"].as_array_mut().into_iter().flatten() {
        let before = held.iter().find(|one| one["type"] == condition["type"] && one["status"] == condition["status"]);
        let since = before.map_or(Value::Null, |before| before["lastTransitionTime"].clone());
        for (field, value) in [("lastUpdateTime", Value::Null), ("lastTransitionTime", since)] {
            if condition[field].is_null() {
                condition[field] = if value.is_null() { json!(seconds(now)) } else { value };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_keeps_since_when_it_holds() {
        let old = json!({ "status": { "conditions": [{ "type": "Approved", "status": "True", "lastTransitionTime": "then" }] } });
        let mut new = json!({ "status": { "conditions": [
            { "type": "Approved", "status": "True" }, { "type": "Failed", "status": "True" },
        ] } });
        stamp(&mut new, &old, Timestamp::UNIX_EPOCH);
        let times: Vec<_> =
            new["status"]["conditions"].as_array().unwrap().iter().map(|one| &one["lastTransitionTime"]).collect();
        assert_eq!(times, ["then", "1970-01-01T00:00:00Z"]);
    }
}
