//! Services as their users see them: at the node port, while everything behind it changes.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::collections::BTreeSet;
use std::net::SocketAddr;

use carob_tests::{Cluster, Http, Kubectl, Load, eventually, eventually_some, manifests};
use http::StatusCode;

const HELLO_HTTP: &str = include_str!("../../samples/manifests/hello-http.yaml");
const HELLO_HTTP_P3: &str = include_str!("../../samples/manifests/hello-http-p3.yaml");

fn url(cluster: &Cluster, port: &str) -> String {
    format!("http://{}:{port}/", cluster.node_port_address())
}

/// A Service of type NodePort for what `manifests::deployment` of the same name makes; answers the port it was given.
fn expose(kubectl: &Kubectl, name: &str) -> String {
    kubectl.run(&["expose", "deployment", name, "--type", "NodePort", "--port", "80", "--target-port", "http"]);
    node_port(kubectl, name)
}

fn node_port(kubectl: &Kubectl, name: &str) -> String {
    kubectl.field(&["service", name], "{.spec.ports[0].nodePort}")
}

fn answers(http: &Http, url: &str, status: StatusCode) -> String {
    let answer = || http.get(url).ok().filter(|(answered, _)| *answered == status).map(|(_, text)| text);
    eventually_some(&format!("{status} from {url}"), answer)
}

#[test]
fn the_samples_answer_from_each_of_their_pods() {
    let cluster = Cluster::shared();
    let http = Http::default();
    for (name, manifest, port) in [("hello-http", HELLO_HTTP, "30080"), ("hello-http-p3", HELLO_HTTP_P3, "30081")] {
        let kubectl = cluster.namespace(&format!("sample-{name}"));
        kubectl.apply(manifest);
        kubectl.run(&["rollout", "status", &format!("deployment/{name}")]);
        let pods = kubectl.field(&["pods"], "{.items[*].metadata.name}");
        let expected: BTreeSet<String> =
            pods.split_whitespace().map(|pod| format!("Hello, world! This is {pod}.\n")).collect();
        assert_eq!(expected.len(), 3);

        let mut heard = BTreeSet::new();
        eventually(&format!("each of {pods}"), || {
            heard.insert(answers(&http, &url(cluster, port), StatusCode::OK));
            heard == expected
        });
    }
}

#[test]
fn changes_under_constant_load_lose_no_request() {
    let cluster = Cluster::shared();
    let kubectl = cluster.namespace("under-load");
    kubectl.apply(&manifests::deployment("web", 3));
    let port = expose(&kubectl, "web");
    kubectl.run(&["rollout", "status", "deployment/web"]);
    answers(&Http::default(), &url(cluster, &port), StatusCode::OK);

    let load = Load::start(SocketAddr::new(cluster.node_port_address().into(), port.parse().unwrap()), 4);
    let settled = |what: &[&str]| {
        kubectl.run(what);
        kubectl.run(&["rollout", "status", "deployment/web"]);
    };
    settled(&["scale", "deployment/web", "--replicas", "7"]);
    settled(&["set", "env", "deployment/web", "GENERATION=2"]);
    settled(&["scale", "deployment/web", "--replicas", "1"]);
    settled(&["rollout", "undo", "deployment/web"]);
    settled(&["rollout", "restart", "deployment/web"]);
    let report = load.finish();
    assert_eq!(report.failures, Vec::<String>::new(), "of {} requests", report.answered + report.failures.len() as u64);
}

#[test]
fn without_a_ready_pod_the_port_says_so_until_there_is_one() {
    let cluster = Cluster::shared();
    let kubectl = cluster.namespace("scaled-to-zero");
    kubectl.apply(&manifests::deployment("web", 0));
    let url = url(cluster, &expose(&kubectl, "web"));
    let http = Http::default();
    let text = answers(&http, &url, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text, "Service scaled-to-zero/web has no ready endpoint\n");

    kubectl.run(&["scale", "deployment/web", "--replicas", "1"]);
    answers(&http, &url, StatusCode::OK);
    kubectl.run(&["scale", "deployment/web", "--replicas", "0"]);
    answers(&http, &url, StatusCode::SERVICE_UNAVAILABLE);
}

#[test]
fn only_pods_that_the_selector_means_are_reached() {
    let cluster = Cluster::shared();
    let kubectl = cluster.namespace("selector");
    kubectl.apply(&manifests::deployment("blue", 1));
    kubectl.apply(&manifests::deployment("green", 1));
    kubectl.run(&["set", "env", "deployment/blue", "POD_NAME=blue"]);
    kubectl.run(&["set", "env", "deployment/green", "POD_NAME=green"]);
    let url = url(cluster, &expose(&kubectl, "blue"));
    let http = Http::default();
    let says = |colour: &str| {
        let expected = format!("Hello, world! This is {colour}.\n");
        eventually(&expected, || answers(&http, &url, StatusCode::OK) == expected);
    };
    says("blue");
    kubectl.run(&["patch", "service", "blue", "--patch", r#"{"spec": {"selector": {"app": "green"}}}"#]);
    says("green");
}

#[test]
fn a_node_port_is_given_to_one_service_and_freed_with_it() {
    let cluster = Cluster::shared();
    let kubectl = cluster.namespace("node-ports");
    kubectl.apply(&manifests::deployment("web", 1));
    let port = expose(&kubectl, "web");
    let http = Http::default();
    answers(&http, &url(cluster, &port), StatusCode::OK);

    let second = format!(
        r#"{{"apiVersion": "v1", "kind": "Service", "metadata": {{"name": "second"}}, "spec": {{
            "type": "NodePort", "selector": {{"app": "web"}},
            "ports": [{{"port": 80, "targetPort": "http", "nodePort": {port}}}]}}}}"#
    );
    let refused = kubectl.attempt_with(&["create", "--filename", "-"], &second);
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("provided port is already allocated"), "{}", refused.stderr);

    kubectl.run(&["delete", "service", "web"]);
    eventually("the port is closed", || http.get(&url(cluster, &port)).is_err());
    kubectl.run_with(&["create", "--filename", "-"], &second);
    answers(&http, &url(cluster, &port), StatusCode::OK);
}

#[test]
fn after_a_kill_the_services_are_where_they_were() {
    let mut cluster = Cluster::start();
    let kubectl = cluster.kubectl();
    kubectl.apply(&manifests::deployment("web", 2));
    let port = expose(&kubectl, "web");
    let http = Http::default();
    answers(&http, &url(&cluster, &port), StatusCode::OK);
    let cluster_ip = kubectl.field(&["service", "web"], "{.spec.clusterIP}");

    cluster.kill_and_restart();
    answers(&http, &url(&cluster, &port), StatusCode::OK);
    assert_eq!(node_port(&kubectl, "web"), port);
    assert_eq!(kubectl.field(&["service", "web"], "{.spec.clusterIP}"), cluster_ip);

    kubectl.run(&["create", "service", "nodeport", "next", "--tcp", "80"]);
    assert_ne!(node_port(&kubectl, "next"), port, "what is allocated stays allocated");
    assert_ne!(kubectl.field(&["service", "next"], "{.spec.clusterIP}"), cluster_ip);
}
