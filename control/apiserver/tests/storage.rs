//! Claims, classes and accounts: what admission does where it looks at other objects.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use carob_apiserver::Config;
use serde_json::{Value, json};
use support::{PODS, Server, pod};

const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";
const CLASSES: &str = "/apis/storage.k8s.io/v1/storageclasses";

fn class(name: &str, default: bool, grows: bool) -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "example.com/p",
        "allowVolumeExpansion": grows,
        "metadata": {
            "name": name, "annotations": { "storageclass.kubernetes.io/is-default-class": default.to_string() },
        },
    })
}

fn claim(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": name },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    })
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_names_no_class_gets_the_default_one() {
    let server = Server::start().await;
    let made = server.post(CLAIMS, &claim("before")).await.expect(201).body;
    assert_eq!(made["spec"]["storageClassName"], Value::Null);
    server.post(CLASSES, &class("plain", false, false)).await.expect(201);
    server.post(CLASSES, &class("usual", true, false)).await.expect(201);
    let made = server.post(CLAIMS, &claim("after")).await.expect(201).body;
    assert_eq!(made["spec"]["storageClassName"], "usual");
    let mut none = claim("none");
    none["spec"]["storageClassName"] = json!("");
    assert_eq!(server.post(CLAIMS, &none).await.expect(201).body["spec"]["storageClassName"], "");
}

#[tokio::test(start_paused = true)]
async fn a_claim_grows_only_where_its_class_lets_it() {
    let server = Server::start().await;
    for (name, grows) in [("fixed", false), ("grows", true)] {
        server.post(CLASSES, &class(name, false, grows)).await.expect(201);
        let mut claim = claim(name);
        claim["spec"]["storageClassName"] = json!(name);
        server.post(CLAIMS, &claim).await.expect(201);
        let bound = json!({ "status": { "phase": "Bound", "capacity": { "storage": "1Gi" } } });
        server.patch(&format!("{CLAIMS}/{name}/status"), "merge-patch", &bound).await.expect(200);
    }
    let more = json!({ "spec": { "resources": { "requests": { "storage": "2Gi" } } } });
    server.patch(&format!("{CLAIMS}/grows"), "merge-patch", &more).await.expect(200);
    let refused = server.patch(&format!("{CLAIMS}/fixed"), "merge-patch", &more).await.expect(403);
    let expected = "persistentvolumeclaims \"fixed\" is forbidden: only dynamically provisioned pvc can be resized and the \
                    storageclass that provisions the pvc must support resize";
    assert_eq!(refused.message(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_pod_runs_as_an_account_that_exists() {
    let server = Server::start().await;
    let mut stranger = pod("web");
    stranger["spec"]["serviceAccountName"] = json!("nobody");
    let refused = server.post(PODS, &stranger).await.expect(403);
    let expected = "pods \"web\" is forbidden: error looking up service account default/nobody: serviceaccount \"nobody\" not found";
    assert_eq!(refused.message(), expected);
    server.post(PODS, &pod("web")).await.expect(201);

    // A new namespace's own account comes a moment later: a Pod waits for it.
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "new" } });
    server.post("/api/v1/namespaces", &namespace).await.expect(201);
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "default" } });
    let early = pod("early");
    let (made, _) = tokio::join!(
        server.post("/api/v1/namespaces/new/pods", &early),
        server.post("/api/v1/namespaces/new/serviceaccounts", &account)
    );
    made.expect(201);
}

#[tokio::test(start_paused = true)]
async fn a_pod_gets_its_accounts_token_unless_one_of_them_says_no() {
    let server = Server::with(Config { mount_tokens: true, ..Config::default() }).await;
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let silent = json!({ "metadata": { "name": "quiet" }, "automountServiceAccountToken": false });
    server.post(accounts, &silent).await.expect(201);
    for (name, account, own, mounted) in [
        ("a", "default", Value::Null, true),
        ("b", "default", json!(false), false),
        ("c", "quiet", Value::Null, false),
        ("d", "quiet", json!(true), true),
    ] {
        let mut pod = pod(name);
        pod["spec"]["serviceAccountName"] = json!(account);
        pod["spec"]["automountServiceAccountToken"] = own;
        let made = server.post(PODS, &pod).await.expect(201).body;
        let mounts = &made["spec"]["containers"][0]["volumeMounts"];
        let volume = made["spec"]["volumes"][0]["name"].as_str().unwrap_or_default();
        assert_eq!(volume.starts_with("kube-api-access-"), mounted, "{name}: {made}");
        assert_eq!(
            mounts[0]["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount",
            mounted,
            "{name}: {made}"
        );
    }
}
