//! ServiceAccounts' tokens: asked for, shown, judged.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::sync::Arc;

use carob_apiserver::Config;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::{Api, Client, api::PostParams, config::AuthInfo};
use serde_json::{Value, json};
use support::{PODS, Server, pod, tls::Listening};

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

async fn with_account(name: &str) -> Server {
    let server = Server::start().await;
    server.post(ACCOUNTS, &account(name)).await.expect(201);
    server
}

fn account(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name } })
}

fn request(spec: Value) -> Value {
    json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec })
}

async fn token(server: &Server, name: &str, spec: Value) -> String {
    let answer = server.post(&format!("{ACCOUNTS}/{name}/token"), &request(spec)).await.expect(201);
    answer.body["status"]["token"].as_str().unwrap().to_owned()
}

async fn review(server: &Server, spec: Value) -> Value {
    let question = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec });
    server.post(REVIEWS, &question).await.expect(201).body["status"].clone()
}

/// Asks as somebody who has nothing but a token.
async fn ask(listening: &Listening, token: &str) -> kube::Result<SelfSubjectReview> {
    let shown = AuthInfo { token: Some(token.to_owned().into()), ..AuthInfo::default() };
    let client = Client::try_from(listening.config_with(shown).await).unwrap();
    Api::all(client).create(&PostParams::default(), &SelfSubjectReview::default()).await
}

fn is_unauthorized<T>(answer: &kube::Result<T>) -> bool {
    matches!(answer, Err(kube::Error::Api(status)) if status.code == 401)
}

#[tokio::test]
async fn a_token_says_who_asks() {
    let server = with_account("robot").await;
    let listening = Listening::start(&server).await;
    let token = token(&server, "robot", json!({})).await;
    let user = ask(&listening, &token).await.unwrap().status.unwrap().user_info.unwrap();
    assert_eq!(user.username.unwrap(), "system:serviceaccount:default:robot");
    let groups = ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"];
    assert_eq!(user.groups.unwrap(), groups);
    let held = server.get(&format!("{ACCOUNTS}/robot")).await.body;
    assert_eq!(user.uid.unwrap(), held["metadata"]["uid"]);
    for worthless in ["a.b.c", &format!("{token}x")] {
        assert!(is_unauthorized(&ask(&listening, worthless).await), "{worthless}");
    }
    listening.stop().await;
}

#[tokio::test]
async fn what_is_asked_for_is_checked_and_granted() {
    let server = with_account("robot").await;
    let path = format!("{ACCOUNTS}/robot/token");
    let granted = server.post(&path, &request(json!({ "expirationSeconds": 600, "audiences": ["vault"] }))).await;
    let granted = granted.expect(201).body;
    assert_eq!(granted["kind"], "TokenRequest");
    assert_eq!(granted["metadata"]["name"], "robot");
    assert_eq!(granted["spec"]["audiences"], json!(["vault"]));
    assert_eq!(server.post(&path, &request(json!({}))).await.body["spec"]["expirationSeconds"], 3600);
    let mut misnamed = request(json!({ "expirationSeconds": 5 }));
    misnamed["metadata"] = json!({ "name": "other" });
    let refused = server.post(&path, &misnamed).await.expect(422);
    let expected = "TokenRequest.authentication.k8s.io \"robot\" is invalid: [metadata.name: Invalid value: \"other\": must \
                    match the service account name if specified, spec.expirationSeconds: Invalid value: 5: may not specify \
                    a duration less than 10 minutes]";
    assert_eq!(refused.message(), expected);
    let cases = [
        (json!({ "expirationSeconds": (1_i64 << 32) + 1 }), 422, "may not specify a duration larger than 2^32 seconds"),
        (
            json!({ "boundObjectRef": { "apiVersion": "v1", "kind": "Pod", "name": "none" } }),
            404,
            "pods \"none\" not found",
        ),
        (
            json!({ "boundObjectRef": { "apiVersion": "v1", "kind": "ConfigMap", "name": "a" } }),
            400,
            "cannot bind token to object of type v1, Kind=ConfigMap",
        ),
    ];
    for (spec, code, message) in cases {
        let refused = server.post(&path, &request(spec)).await.expect(code);
        assert!(refused.message().contains(message), "{}", refused.message());
    }
    server.post(&format!("{ACCOUNTS}/none/token"), &request(json!({}))).await.expect(404);
    server.get(&path).await.expect(405);
}

#[tokio::test]
async fn a_token_is_good_for_its_audiences_only() {
    let server = with_account("robot").await;
    let listening = Listening::start(&server).await;
    let for_vault = token(&server, "robot", json!({ "audiences": ["vault", "other"] })).await;
    assert!(is_unauthorized(&ask(&listening, &for_vault).await));
    listening.stop().await;
    let told = review(&server, json!({ "token": for_vault, "audiences": ["vault", "more"] })).await;
    assert_eq!((&told["authenticated"], &told["audiences"]), (&json!(true), &json!(["vault"])));
    let told = review(&server, json!({ "token": for_vault })).await;
    assert_eq!(told["authenticated"], false);
    let expected = format!("token audiences [\"vault\", \"other\"] is invalid for the target audiences [{ISSUER:?}]");
    assert_eq!(told["error"], expected);
}

#[tokio::test]
async fn a_token_of_a_pod_ends_with_the_pod() {
    let server = with_account("robot").await;
    let mut owned = pod("web");
    owned["spec"]["serviceAccountName"] = json!("robot");
    owned["spec"]["nodeName"] = json!("n1");
    let made = server.post(PODS, &owned).await.expect(201).body;
    let reference =
        |uid: &Value| json!({ "boundObjectRef": { "apiVersion": "v1", "kind": "Pod", "name": "web", "uid": uid } });
    let path = format!("{ACCOUNTS}/robot/token");
    let stale = server.post(&path, &request(reference(&json!("another")))).await.expect(409);
    assert!(stale.message().contains("does not match the UID in record"), "{}", stale.message());
    let bound = token(&server, "robot", reference(&made["metadata"]["uid"])).await;
    let told = review(&server, json!({ "token": bound })).await;
    let extra = &told["user"]["extra"];
    assert_eq!(extra["authentication.kubernetes.io/pod-name"], json!(["web"]));
    assert_eq!(extra["authentication.kubernetes.io/pod-uid"], json!([made["metadata"]["uid"]]));
    assert_eq!(extra["authentication.kubernetes.io/node-name"], json!(["n1"]));

    server.delete(&format!("{PODS}/web?gracePeriodSeconds=0")).await.expect(200);
    let told = review(&server, json!({ "token": bound })).await;
    assert_eq!(told["error"], "pod default/web not found");
    server.post(PODS, &owned).await.expect(201);
    let told = review(&server, json!({ "token": bound })).await;
    assert!(told["error"].as_str().unwrap().starts_with("the pod UID ("), "{told}");
}

#[tokio::test]
async fn only_an_accounts_own_pods_are_bound_to() {
    let server = with_account("robot").await;
    server.post(PODS, &pod("web")).await.expect(201);
    let spec = json!({ "boundObjectRef": { "apiVersion": "v1", "kind": "Pod", "name": "web" } });
    let refused = server.post(&format!("{ACCOUNTS}/robot/token"), &request(spec)).await.expect(400);
    let expected = "cannot bind token for serviceaccount \"robot\" to pod running with different serviceaccount name.";
    assert_eq!(refused.message(), expected);
}

#[tokio::test]
async fn a_token_ends_with_its_account_and_its_key() {
    let server = with_account("robot").await;
    let first = token(&server, "robot", json!({})).await;
    server.delete(&format!("{ACCOUNTS}/robot")).await.expect(200);
    assert_eq!(review(&server, json!({ "token": first })).await["error"], "service account default/robot not found");
    server.post(ACCOUNTS, &account("robot")).await.expect(201);
    let told = review(&server, json!({ "token": first })).await;
    assert!(told["error"].as_str().unwrap().starts_with("the service account UID ("), "{told}");

    let second = token(&server, "robot", json!({})).await;
    let other =
        Server::with(Config { tokens: Arc::new(carob_pki::TokenKey::generate().unwrap()), ..Config::default() });
    assert_eq!(review(&other.await, json!({ "token": second })).await["error"], "invalid bearer token");
}

#[tokio::test]
async fn questions_are_only_posted() {
    let server = Server::start().await;
    server.get(REVIEWS).await.expect(405);
    server.delete(&format!("{REVIEWS}/a")).await.expect(405);
    let empty = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {} });
    let refused = server.post(REVIEWS, &empty).await.expect(400);
    assert_eq!(refused.message(), "token is required for TokenReview in authentication");
    let group = server.get("/apis/authentication.k8s.io/v1").await.expect(200).body;
    assert_eq!(group["resources"][0]["verbs"], json!(["create"]));
}

#[tokio::test]
async fn others_can_check_tokens() {
    let server = Server::start().await;
    let configuration = server.get("/.well-known/openid-configuration").await.expect(200).body;
    assert_eq!(configuration["issuer"], ISSUER);
    let keys = server.get("/openid/v1/jwks").await.expect(200);
    assert_eq!(keys.headers["content-type"], "application/jwk-set+json");
    assert_eq!(keys.body["keys"][0]["crv"], "P-256");
}
