//! NetworkPolicies as their users see them: kubectl, guests that call each other, and a client of a node port.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::sync::Once;

use carob_tests::{Cluster, Http, Kubectl, eventually, eventually_some, manifests, samples};
use http::StatusCode;

const TCP_ECHO: &str = include_str!("../../samples/manifests/tcp-echo.yaml");
const UDP_ECHO: &str = include_str!("../../samples/manifests/udp-echo.yaml");

fn cluster() -> &'static Cluster {
    static LOADED: Once = Once::new();
    let cluster = Cluster::shared();
    LOADED.call_once(|| {
        for name in ["tcp-echo", "udp-echo", "echo-client"] {
            cluster.load(&samples().join(format!("{name}.wasm")), &format!("samples/{name}:1"));
        }
    });
    cluster
}

/// Two echo servers that listen.
fn servers(kubectl: &Kubectl) {
    kubectl.apply(TCP_ECHO);
    kubectl.apply(UDP_ECHO);
    for server in ["deployment/tcp-echo", "deployment/udp-echo"] {
        kubectl.run(&["rollout", "status", server, "--timeout=120s"]);
        eventually(&format!("{server} listens"), || kubectl.run(&["logs", server]).contains("listening"));
    }
}

/// Runs a client with the label `role` to its end; answers how it ended and what it printed.
fn ask(kubectl: &Kubectl, pod: &str, role: &str, args: &[&str]) -> (String, String) {
    let manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {pod}, labels: {{role: {role}}}}}\nspec:\n  restartPolicy: Never\n  \
         containers:\n    - {{name: client, image: \"samples/echo-client:1\", args: {args:?}}}\n"
    );
    kubectl.apply(&manifest);
    let phase = || kubectl.field(&["pod", pod], "{.status.phase}");
    eventually(&format!("{pod} has ended"), || ["Succeeded", "Failed"].contains(&phase().as_str()));
    (phase(), kubectl.run(&["logs", pod]))
}

fn policy(name: &str, spec: &str) -> String {
    format!("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

/// Asks with new clients until one ends as expected: a policy takes effect a moment after it is written.
fn ends(kubectl: &Kubectl, pod: &str, role: &str, args: &[&str], expected: &str) -> String {
    let mut tries = 0;
    eventually_some(&format!("{pod} ends with {expected}"), || {
        tries += 1;
        let (phase, log) = ask(kubectl, &format!("{pod}-{tries}"), role, args);
        (phase == expected).then_some(log)
    })
}

#[test]
fn a_denial_and_what_is_let_in_by_label() {
    let kubectl = cluster().namespace("policy-ingress");
    servers(&kubectl);
    ends(&kubectl, "before", "friend", &["tcp", "tcp-echo:7"], "Succeeded");

    kubectl.apply(&policy("deny-all", "{podSelector: {}, policyTypes: [Ingress]}"));
    let log = ends(&kubectl, "denied", "friend", &["tcp", "tcp-echo:7"], "Failed");
    assert!(log.to_lowercase().contains("denied"), "{log}");
    let allow = "{podSelector: {matchLabels: {app: tcp-echo}}, ingress: [{from: [{podSelector: {matchLabels: {role: friend}}}], \
                 ports: [{port: 7}]}]}";
    kubectl.apply(&policy("allow-friends", allow));
    ends(&kubectl, "friend", "friend", &["tcp", "tcp-echo:7"], "Succeeded");
    let (phase, log) = ask(&kubectl, "stranger", "stranger", &["tcp", "tcp-echo:7"]);
    assert_eq!(phase, "Failed", "{log}");

    let listed = kubectl.run(&["get", "netpol"]);
    assert!(listed.contains("POD-SELECTOR") && listed.contains("app=tcp-echo"), "{listed}");
    let described = kubectl.run(&["describe", "netpol", "allow-friends"]);
    for line in ["PodSelector:     app=tcp-echo", "To Port: 7/TCP", "PodSelector: role=friend", "Policy Types: Ingress"]
    {
        assert!(described.contains(line), "{described}");
    }
    kubectl.run(&["delete", "netpol", "--all"]);
    ends(&kubectl, "after", "stranger", &["tcp", "tcp-echo:7"], "Succeeded");
}

#[test]
fn egress_goes_where_it_is_let_go_and_answers_come_back() {
    let kubectl = cluster().namespace("policy-egress");
    servers(&kubectl);
    let udp_only = "{podSelector: {matchLabels: {role: client}}, policyTypes: [Ingress, Egress], \
                    egress: [{to: [{podSelector: {matchLabels: {app: udp-echo}}}], ports: [{protocol: UDP, port: 7}]}]}";
    kubectl.apply(&policy("udp-only", udp_only));
    ends(&kubectl, "tcp", "client", &["tcp", "tcp-echo:7"], "Failed");
    ends(&kubectl, "udp", "client", &["udp", "udp-echo:7"], "Succeeded");
    ends(&kubectl, "other", "other", &["tcp", "tcp-echo:7"], "Succeeded");
}

#[test]
fn the_node_reaches_pods_that_are_closed_to_everybody() {
    let cluster = cluster();
    let kubectl = cluster.namespace("policy-node");
    kubectl.apply(&policy("deny-all", "{podSelector: {}, policyTypes: [Ingress, Egress]}"));
    kubectl.apply(&manifests::deployment("web", 1));
    kubectl.apply(&manifests::node_port("web"));
    kubectl.run(&["rollout", "status", "deployment/web", "--timeout=120s"]);
    let port = kubectl.field(&["service", "web"], "{.spec.ports[0].nodePort}");
    let url = format!("http://{}:{port}/", cluster.node_port_address());
    let answer = || Http::default().get(&url).ok().filter(|(status, _)| *status == StatusCode::OK);
    eventually_some("the node port answers", answer);
}

#[test]
fn a_mistake_is_told_in_kubernetes_words() {
    let kubectl = cluster().namespace("policy-mistakes");
    let wrong = policy("wrong", "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0}}]}]}");
    let said = kubectl.attempt_with(&["apply", "--filename", "-"], &wrong).stderr;
    let expected = "spec.ingress[0].from[0].ipBlock.cidr: Invalid value: \"10.0.0.0\": must be a valid CIDR value";
    assert!(said.contains(expected), "{said}");
}
