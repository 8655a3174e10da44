//! Requests for certificates: who may ask, approve and sign, and what each may change.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use base64::{Engine, engine::general_purpose::STANDARD};
use carob_pki::{CertificateRequest, Names};
use serde_json::{Value, json};
use support::Server;

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

fn request(name: &str, user: &str, group: &str, signer: &str) -> Value {
    let asked = CertificateRequest::create(user, group, &Names::default()).unwrap();
    json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": { "name": name },
        "spec": {
            "request": STANDARD.encode(asked.request), "signerName": signer, "username": "somebody else",
            "usages": ["digital signature", "client auth"],
        },
        "status": { "conditions": [{ "type": "Approved", "status": "True" }] },
    })
}

const CLIENT: &str = "kubernetes.io/kube-apiserver-client";

#[tokio::test]
async fn who_asks_is_written_down_and_nobody_approves_by_asking() {
    let server = Server::start().await;
    let made = server.post(REQUESTS, &request("a", "jane", "people", CLIENT)).await.expect(201).body;
    assert_eq!(made["spec"]["username"], "admin");
    assert_eq!(made["spec"]["groups"], json!(["system:masters", "system:authenticated"]));
    assert_eq!(made["status"], json!({}));
    let mut changed = made.clone();
    changed["spec"]["username"] = json!("root");
    let after = server.put(&format!("{REQUESTS}/a"), &changed).await.expect(200).body;
    assert_eq!(after["spec"]["username"], "admin");
}

#[tokio::test]
async fn what_cannot_be_read_or_would_rule_is_refused() {
    let server = Server::start().await;
    let mut unreadable = request("a", "jane", "people", CLIENT);
    unreadable["spec"]["request"] = json!("YQ==");
    let refused = server.post(REQUESTS, &unreadable).await.expect(422);
    assert!(
        refused.message().contains("spec.request: Invalid value: \"YQ==\": PEM block type must be"),
        "{}",
        refused.message()
    );
    let masters = server.post(REQUESTS, &request("a", "jane", "system:masters", CLIENT)).await.expect(403);
    assert!(masters.message().ends_with("signer with system:masters group is not allowed"), "{}", masters.message());
}

#[tokio::test]
async fn approval_and_signature_are_given_at_addresses_of_their_own() {
    let server = Server::start().await;
    let mut object = server.post(REQUESTS, &request("a", "jane", "people", CLIENT)).await.expect(201).body;
    let (approval, status) = (format!("{REQUESTS}/a/approval"), format!("{REQUESTS}/a/status"));
    object["status"] = json!({ "conditions": [{ "type": "Approved", "status": "True", "reason": "ByHand" }] });
    server.put(&status, &object).await.expect(422);
    let approved = server.put(&approval, &object).await.expect(200).body;
    let condition = &approved["status"]["conditions"][0];
    assert!(condition["lastTransitionTime"].is_string() && condition["lastUpdateTime"].is_string(), "{condition}");
    let mut signed = approved.clone();
    signed["status"]["certificate"] = json!("YQ==");
    let unsigned = server.put(&approval, &signed).await.expect(200).body;
    assert!(unsigned["status"]["certificate"].is_null(), "who approves does not sign");
    server.put(&status, &signed).await.expect(200);
    let row = server
        .send(http::Method::GET, REQUESTS, &[("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")], "")
        .await;
    assert_eq!(row.body["rows"][0]["cells"][5], "Approved,Issued");
}
