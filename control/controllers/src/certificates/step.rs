//! Pure: what comes next for a request.

use std::time::Duration;

use carob_pki::{CertificateRequest, Usage};
use jiff::Timestamp;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::core::v1::Node;

use super::judge::{Signer, approval, signable};

const HOUR: Duration = Duration::from_secs(60 * 60);
/// How long a request is kept that was denied, has failed, or has its certificate.
const SETTLED: Duration = HOUR;
/// How long one is kept that nobody decides about.
const PENDING: Duration = HOUR.saturating_mul(24);

/// What to do about a request now.
pub(super) enum Step {
    /// Approve it, for this reason.
    Approve(&'static str),
    /// Sign it for these usages.
    Sign(Box<CertificateRequest>, Vec<Usage>),
    /// Say that it will never be signed, and why.
    Fail(String),
    /// Remove it.
    Forget,
    /// Nothing, but look again after this time.
    Wait(Duration),
}

pub(super) fn step(request: &CertificateSigningRequest, node: Option<&Node>, now: Timestamp) -> Step {
    let is = |kind: &str| condition_since(request, kind).is_some();
    let is_signed = request.status.as_ref().is_some_and(|status| status.certificate.is_some());
    if is_signed || is("Denied") || is("Failed") {
        return forget_after(SETTLED, settled_since(request), now);
    }
    let waits = || forget_after(PENDING, request.metadata.creation_timestamp.as_ref().map(|time| time.0), now);
    let Some(signer) = Signer::of(&request.spec.signer_name) else { return waits() };
    let judged = parse(request).and_then(|asked| Ok((signable(signer, &request.spec, &asked)?, asked)));
    match (judged, is("Approved")) {
        (Ok((usages, asked)), true) => Step::Sign(Box::new(asked), usages),
        (Err(why), true) => Step::Fail(why),
        (Ok((_, asked)), false) => approval(signer, &request.spec, &asked, node).map_or_else(waits, Step::Approve),
        (Err(_), false) => waits(),
    }
}

fn parse(request: &CertificateSigningRequest) -> Result<CertificateRequest, String> {
    let pem = std::str::from_utf8(&request.spec.request.0).map_err(|error| error.to_string())?;
    CertificateRequest::parse(pem).map_err(|error| error.to_string())
}

fn condition_since(request: &CertificateSigningRequest, kind: &str) -> Option<Option<Timestamp>> {
    let conditions = request.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|condition| condition.type_ == kind)?;
    Some(condition.last_update_time.as_ref().map(|time| time.0))
}

fn settled_since(request: &CertificateSigningRequest) -> Option<Timestamp> {
    ["Approved", "Denied", "Failed"].into_iter().filter_map(|kind| condition_since(request, kind).flatten()).max()
}

fn forget_after(life: Duration, since: Option<Timestamp>, now: Timestamp) -> Step {
    let age = since.map_or(Duration::ZERO, |since| Duration::try_from(now.duration_since(since)).unwrap_or_default());
    if age >= life { Step::Forget } else { Step::Wait(life - age) }
}

#[cfg(test)]
mod tests {
    use carob_pki::Names;
    use k8s_openapi::ByteString;
    use serde_json::{Value, json};

    use super::*;

    fn request(signer: &str, group: &str, status: Value) -> CertificateSigningRequest {
        let mut request: CertificateSigningRequest = serde_json::from_value(json!({
            "metadata": { "name": "r", "creationTimestamp": "2026-01-01T00:00:00Z" },
            "spec": {
                "request": "", "signerName": signer, "username": "system:bootstrap:abcdef",
                "groups": ["system:bootstrappers"], "usages": ["client auth"],
            },
            "status": status,
        }))
        .unwrap();
        let asked = CertificateRequest::create("system:node:n1", group, &Names::default()).unwrap();
        request.spec.request = ByteString(asked.request.into_bytes());
        request
    }

    fn told(request: &CertificateSigningRequest, now: &str) -> String {
        match step(request, None, now.parse().unwrap()) {
            Step::Approve(_) => "approve".to_owned(),
            Step::Sign(..) => "sign".to_owned(),
            Step::Fail(_) => "fail".to_owned(),
            Step::Forget => "forget".to_owned(),
            Step::Wait(time) => format!("wait {}m", time.as_secs() / 60),
        }
    }

    #[test]
    fn a_request_is_decided_signed_and_forgotten() {
        let node = "kubernetes.io/kube-apiserver-client-kubelet";
        let at = "2026-01-01T00:10:00Z";
        let is = |kind: &str| json!({ "conditions": [{ "type": kind, "status": "True", "lastUpdateTime": at }] });
        let signed = json!({ "certificate": "YQ==", "conditions": is("Approved")["conditions"] });
        let cases = [
            (request(node, "system:nodes", json!({})), at, "approve"),
            (request(node, "system:nodes", is("Approved")), at, "sign"),
            (request(node, "people", json!({})), at, "wait 1430m"),
            (request(node, "people", is("Approved")), at, "fail"),
            (request("example.com/other", "system:nodes", is("Approved")), at, "wait 1430m"),
            (request(node, "people", json!({})), "2026-01-02T00:00:00Z", "forget"),
            (request(node, "system:nodes", signed.clone()), at, "wait 60m"),
            (request(node, "system:nodes", signed), "2026-01-01T01:10:00Z", "forget"),
            (request(node, "system:nodes", is("Denied")), "2026-01-01T01:10:00Z", "forget"),
        ];
        for (request, now, expected) in cases {
            assert_eq!(told(&request, now), expected, "{:?} {now}", request.status);
        }
    }
}
