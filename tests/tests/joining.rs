//! Nodes that join a server, each a process of its own: what they may, what becomes of their Pods, and who is turned away.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use carob_tests::{Kubectl, Node, Server, eventually, manifests};

/// A node of which nothing is heard for so long is lost.
const GRACE: &[&str] = &["--node-monitor-grace-period", "10s", "--node-cidr-mask-size", "24"];

fn run_pod(kubectl: &Kubectl, name: &str, node: &str) {
    kubectl.apply(&manifests::on_node(name, node));
    kubectl.run(&["wait", "--for=condition=Ready", "--timeout=90s", &format!("pod/{name}")]);
}

fn two_nodes(server: &Server) -> (Node, Node) {
    let nodes = (server.join("one"), server.join("two"));
    for node in [&nodes.0, &nodes.1] {
        node.load("hello-http", "samples/hello-http:1");
    }
    nodes
}

fn is_ready(kubectl: &Kubectl, node: &str) -> String {
    kubectl.field(&["node", node], "{.status.conditions[?(@.type=='Ready')].status}")
}

#[test]
fn nodes_join_run_pods_and_touch_what_is_their_own() {
    let server = Server::start(GRACE);
    let kubectl = server.kubectl();
    let (one, mut two) = two_nodes(&server);
    let mut ranges: Vec<_> =
        kubectl.field(&["nodes"], "{.items[*].spec.podCIDR}").split(' ').map(str::to_owned).collect();
    ranges.sort();
    assert_eq!(ranges, ["10.244.0.0/24", "10.244.1.0/24"]);
    eventually("both nodes can serve", || {
        let issued = kubectl.run(&["get", "csr", "--no-headers"]);
        issued.lines().filter(|line| line.ends_with("Approved,Issued")).count() == 4
    });

    for node in ["one", "two"] {
        run_pod(&kubectl, &format!("on-{node}"), node);
        assert_eq!(kubectl.field(&["pod", &format!("on-{node}")], "{.spec.nodeName}"), node);
    }
    kubectl.run(&["logs", "on-two"]);
    let listed = kubectl.run(&["exec", "on-two", "--", "ls", "/"]);
    assert!(!listed.is_empty(), "exec on a joined node");

    refusals(&kubectl, &one.kubectl(&server.url()));

    two.kill();
    two.start_again("two", &["--server".to_owned(), server.url()]);
    kubectl.run(&["wait", "--for=condition=Ready", "--timeout=90s", "pod/on-two"]);

    kubectl.run(&["drain", "two", "--force"]);
    assert_eq!(kubectl.field(&["node", "two"], "{.spec.unschedulable}"), "true");
    assert_eq!(kubectl.attempt(&["get", "pod", "on-two"]).code, 1);
    kubectl.run(&["uncordon", "two"]);
}

/// What a node may not, asked with its own certificate.
fn refusals(kubectl: &Kubectl, node: &Kubectl) {
    for (name, user) in [("mine", "on-one"), ("other", "on-two")] {
        kubectl.run(&["create", "secret", "generic", name, "--from-literal=a=b"]);
        let spec = format!(
            "nodeName: {}, containers: [{{name: c, image: absent, envFrom: [{{secretRef: {{name: {name}}}}}]}}]",
            user.trim_start_matches("on-")
        );
        kubectl.apply(&format!("{{apiVersion: v1, kind: Pod, metadata: {{name: uses-{name}}}, spec: {{{spec}}}}}"));
    }
    node.run(&["get", "secret", "mine"]);
    let cases: [(&[&str], &str); 6] = [
        (&["get", "secret", "other"], "no relationship found between node \"one\" and this object"),
        (&["get", "secrets"], "cannot list resource \"secrets\""),
        (&["delete", "pod", "on-two"], "the Pod is not bound to node \"one\""),
        (&["label", "node", "two", "a=b"], "node \"one\" may touch its own only"),
        (&["taint", "node", "one", "a=b:NoSchedule"], "node \"one\" is not allowed to modify taints"),
        (&["label", "node", "one", "node-role.kubernetes.io/x=y"], "is not allowed to modify the following labels"),
    ];
    for (arguments, words) in cases {
        let outcome = node.attempt(arguments);
        assert!(outcome.code != 0 && outcome.stderr.contains(words), "{arguments:?}: {}", outcome.stderr);
    }
    kubectl.run(&["delete", "pod", "uses-mine", "uses-other", "--grace-period=0", "--force"]);
}

#[test]
fn pods_of_a_killed_node_come_back_elsewhere_and_a_server_may_be_away() {
    let mut server = Server::start(GRACE);
    let kubectl = server.kubectl();
    let (_one, mut two) = two_nodes(&server);
    kubectl.apply(&manifests::evictable("web", 4));
    kubectl.run(&["rollout", "status", "deployment/web", "--timeout=90s"]);

    server.kill();
    server.start_again(GRACE);
    eventually("both nodes are heard of again", || {
        ["one", "two"].iter().all(|node| is_ready(&kubectl, node) == "True")
    });
    kubectl.run(&["rollout", "status", "deployment/web", "--timeout=90s"]);

    run_pod(&kubectl, "lost", "two");
    two.kill();
    eventually("the killed node is lost", || is_ready(&kubectl, "two") == "Unknown");
    let taints = || kubectl.field(&["node", "two"], "{.spec.taints[*].effect}");
    eventually("it is tainted", || taints().contains("NoExecute"));
    eventually("its Pods run elsewhere", || {
        let selector = ["pods", "--selector=app=web", "--field-selector=spec.nodeName=one"];
        kubectl.field(&selector, "{.items[*].status.conditions[?(@.type=='Ready')].status}") == "True True True True"
    });
    kubectl.run(&["delete", "node", "two"]);
    eventually("what it leaves behind goes", || kubectl.attempt(&["get", "pod", "lost"]).code == 1);
}

#[test]
fn who_was_not_invited_is_turned_away() {
    let server = Server::start(&["--cluster-signing-duration", "20s"]);
    let invitation = server.invitation();
    let with = |at: &str, value: &str| -> Vec<String> {
        let place = invitation.iter().position(|word| word == at).unwrap() + 1;
        let mut changed = invitation.clone();
        value.clone_into(&mut changed[place]);
        changed
    };
    let other_hash = format!("sha256:{}", "0".repeat(64));
    let over = server.token(&["create", "--ttl", "1s"]);
    eventually("the token is cleaned away", || !server.token(&["list"]).contains(&over));
    let cases = [
        (with("--token", "aaaaaa.0123456789abcdef"), "the server refuses the token: it is wrong or over"),
        (with("--token", &over), "the server refuses the token: it is wrong or over"),
        (with("--ca-hash", &other_hash), "none of its certificates is the authority with the hash"),
        (invitation[..2].to_vec(), "has no certificate yet; join with --token and --ca-hash"),
    ];
    for (arguments, words) in cases {
        let said = Node::start("stranger", &arguments, &[]).last_words();
        assert!(said.contains(words), "{said}");
    }

    let mut node = server.join("short");
    let kubectl = server.kubectl();
    let clients = || {
        let requests = kubectl.run(&["get", "csr", "--no-headers"]);
        requests.lines().filter(|line| line.contains("client-kubelet") && line.contains("system:node:short")).count()
    };
    eventually("its certificate is renewed, by its own", || clients() >= 2);
    node.kill();
    let server_only = invitation[..2].to_vec();
    // Nothing but time ends a certificate.
    std::thread::sleep(std::time::Duration::from_secs(21));
    node.try_again("short", &server_only);
    let said = node.last_words();
    assert!(said.contains("the certificate of node short is over; join again with --token and --ca-hash"), "{said}");
    node.start_again("short", &invitation);
}
