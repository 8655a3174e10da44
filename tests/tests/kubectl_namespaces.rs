//! kubectl and namespaces.

use carob_tests::{Cluster, eventually, manifests};

#[test]
fn a_new_namespace_gets_what_every_namespace_has() {
    let kubectl = Cluster::shared().namespace("fresh");
    assert_eq!(kubectl.field(&["namespace", "fresh"], "{.status.phase}"), "Active");
    eventually("the default service account is there", || {
        kubectl.attempt(&["get", "serviceaccount", "default"]).code == 0
    });
    eventually("the authority's certificate is there", || {
        let data = kubectl.attempt(&["get", "configmap", "kube-root-ca.crt", "--output", "jsonpath={.data.ca\\.crt}"]);
        data.stdout.starts_with("-----BEGIN CERTIFICATE-----")
    });
}

#[test]
fn deletion_takes_the_contents() {
    let kubectl = Cluster::shared().namespace("doomed");
    kubectl.apply(&manifests::deployment("web", 2));
    kubectl.apply(&manifests::config_map("a", "key", "value"));
    kubectl.run(&["rollout", "status", "deployment/web", "--timeout=120s"]);
    kubectl.run(&["delete", "namespace", "doomed", "--timeout=120s"]);
    let all = kubectl.attempt(&["get", "namespace", "doomed"]);
    assert!(all.code != 0 && all.stderr.contains("namespaces \"doomed\" not found"), "{all:?}");
    let pods = kubectl.run(&["get", "pods", "--all-namespaces", "--selector", "app=web", "--output", "name"]);
    assert_eq!(pods, "");
    kubectl.run(&["create", "namespace", "doomed"]);
    let left = kubectl.attempt(&["get", "configmap", "a"]);
    assert!(left.code != 0, "{left:?}");
}

#[test]
fn a_namespace_that_ends_takes_nothing_new() {
    let kubectl = Cluster::shared().namespace("ending");
    let held =
        manifests::config_map("a", "key", "value").replace("{name: a}", "{name: a, finalizers: [example.com/hold]}");
    kubectl.apply(&held);
    kubectl.run(&["delete", "namespace", "ending", "--wait=false"]);
    eventually("it ends", || kubectl.field(&["namespace", "ending"], "{.status.phase}") == "Terminating");
    let refused = kubectl.attempt(&["create", "configmap", "b"]);
    assert!(refused.code != 0 && refused.stderr.contains("being terminated"), "{refused:?}");
    kubectl.run(&["patch", "configmap", "a", "--type", "merge", "--patch", r#"{"metadata": {"finalizers": null}}"#]);
    kubectl.run(&["wait", "namespace/ending", "--for=delete", "--timeout=120s"]);
}

#[test]
fn the_system_is_there_and_default_stays() {
    let kubectl = Cluster::shared().kubectl();
    let names = kubectl.run(&["get", "namespaces", "--output", "name"]);
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        assert!(names.lines().any(|line| line == format!("namespace/{name}")), "{names}");
    }
    assert!(kubectl.attempt(&["delete", "namespace", "default"]).stderr.contains("Forbidden"));
    assert_eq!(kubectl.field(&["service", "kubernetes"], "{.spec.clusterIP}"), "10.96.0.1");
    kubectl.run(&["get", "endpoints", "kubernetes"]);
    let url = kubectl.run(&["cluster-info"]);
    assert!(url.contains("https://127.0.0.1:"), "{url}");
}
