//! Pods of one node reach those of another: by name, by address, by Service, by node port; and only where policy allows.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, TcpStream};

use carob_tests::{Http, Kubectl, Node, Server, eventually, eventually_some, manifests};
use http::StatusCode;

const TCP_ECHO: &str = include_str!("../../samples/manifests/tcp-echo.yaml");
const UDP_ECHO: &str = include_str!("../../samples/manifests/udp-echo.yaml");

/// A server, and two nodes that share nothing but the loopback device.
struct Scene {
    server: Server,
    one: Node,
    _two: Node,
}

/// Node ports are those of the node `one`, which is there first.
fn scene() -> (Scene, u16) {
    let server = Server::start(&[]);
    let kubectl = server.kubectl();
    kubectl.apply(&manifests::node_port("web"));
    let port = kubectl.field(&["service", "web"], "{.spec.ports[0].nodePort}").parse().unwrap();
    let one = server.join("one");
    eventually("its node port is there", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    let two = server.join("two");
    for node in [&one, &two] {
        for sample in ["hello-http", "tcp-echo", "udp-echo", "echo-client"] {
            node.load(sample, &format!("samples/{sample}:1"));
        }
    }
    for node in ["one", "two"] {
        let said = kubectl.field(&["node", node], r"{.metadata.annotations.carob\.dev/mesh-address}");
        assert!(said.starts_with("127.0.0.1:"), "{said}");
    }
    (Scene { server, one, _two: two }, port)
}

/// A Pod on this node that greets with its own name.
fn greeter(kubectl: &Kubectl, name: &str, app: &str, node: &str) {
    kubectl.apply(&format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, labels: {{app: {app}}}}}, spec: {{nodeSelector: \
         {{kubernetes.io/hostname: {node}}}, containers: [{{name: hello, image: 'samples/hello-http:1', ports: [{{name: http, \
         containerPort: 8080}}], env: [{{name: POD_NAME, value: {name}}}]}}]}}}}"
    ));
    kubectl.run(&["wait", "--for=condition=Ready", "--timeout=90s", &format!("pod/{name}")]);
}

/// What a Pod gets from this URL.
fn fetch(kubectl: &Kubectl, pod: &str, url: &str) -> (i32, String) {
    let fetched = kubectl.attempt(&["exec", pod, "--", "wget", "-qO-", "-T", "10", url]);
    (fetched.code, fetched.stdout + &fetched.stderr)
}

/// Runs an echo client on this node to its end; answers how it ended and what it printed.
fn ask(kubectl: &Kubectl, pod: &str, node: &str, args: &[&str]) -> (String, String) {
    kubectl.apply(&format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {pod}}}, spec: {{restartPolicy: Never, nodeSelector: \
         {{kubernetes.io/hostname: {node}}}, containers: [{{name: client, image: 'samples/echo-client:1', args: {args:?}}}]}}}}"
    ));
    let phase = || kubectl.field(&["pod", pod], "{.status.phase}");
    eventually(&format!("{pod} has ended"), || ["Succeeded", "Failed"].contains(&phase().as_str()));
    (phase(), kubectl.run(&["logs", pod]))
}

#[test]
fn pods_services_and_node_ports_of_another_node_are_reached() {
    let (scene, port) = scene();
    let kubectl = scene.server.kubectl();
    greeter(&kubectl, "asker", "asker", "one");
    greeter(&kubectl, "far", "web", "two");
    let hello = (0, "Hello, world! This is far.\n".to_owned());
    eventually("the Service answers by name", || fetch(&kubectl, "asker", "http://web/") == hello);
    let (pod, service) =
        (kubectl.field(&["pod", "far"], "{.status.podIP}"), kubectl.field(&["service", "web"], "{.spec.clusterIP}"));
    for url in [format!("http://{service}/"), format!("http://{pod}:8080/"), "http://web.default.svc:80/".to_owned()] {
        assert_eq!(fetch(&kubectl, "asker", &url), hello, "{url}");
    }
    let (code, said) = fetch(&kubectl, "asker", &format!("http://{pod}:8081/"));
    assert!(code != 0 && said.contains("refused"), "{said}");

    let answer = || Http::default().get(&format!("http://127.0.0.1:{port}/")).ok();
    assert_eq!(eventually_some("the node port answers", answer), (StatusCode::OK, hello.1));
    echoes(&kubectl);
    console(&kubectl);
}

/// Sockets by TCP and UDP, of servers on the other node.
fn echoes(kubectl: &Kubectl) {
    for (name, manifest) in [("tcp-echo", TCP_ECHO), ("udp-echo", UDP_ECHO)] {
        let there = "    spec:\n      nodeSelector: {kubernetes.io/hostname: two}\n      containers:\n";
        let pinned = manifest.replace("    spec:\n      containers:\n", there);
        assert_ne!(pinned, manifest, "the manifest has another form");
        kubectl.apply(&pinned);
        kubectl.run(&["rollout", "status", &format!("deployment/{name}"), "--timeout=120s"]);
        eventually("it listens", || kubectl.run(&["logs", &format!("deployment/{name}")]).contains("listening"));
    }
    let (phase, log) = ask(kubectl, "echo-client", "one", &["tcp", "tcp-echo:7", "udp", "udp-echo:7"]);
    assert_eq!(phase, "Succeeded", "{log}");
}

/// kubectl reaches into Pods of both nodes.
fn console(kubectl: &Kubectl) {
    for (pod, node) in [("asker", "one"), ("far", "two")] {
        assert_eq!(kubectl.field(&["pod", pod], "{.spec.nodeName}"), node);
        kubectl.run(&["logs", pod]);
        let listed = kubectl.run(&["exec", pod, "--", "ls", "/"]);
        assert!(!listed.is_empty(), "exec on {node}");
        let mut forward = kubectl.follow(&["port-forward", pod, ":8080"]);
        let line = forward.until("Forwarding from 127.0.0.1:");
        let address = line.split_whitespace().nth(2).unwrap();
        let (status, said) = Http::default().get(&format!("http://{address}/")).unwrap();
        assert_eq!((status, said), (StatusCode::OK, format!("Hello, world! This is {pod}.\n")));
    }
}

#[test]
fn policies_hold_between_nodes_on_both_sides() {
    let (scene, _) = scene();
    let kubectl = scene.server.kubectl();
    greeter(&kubectl, "friend", "friend", "one");
    greeter(&kubectl, "stranger", "stranger", "one");
    greeter(&kubectl, "far", "web", "two");
    let url = format!("http://{}:8080/", kubectl.field(&["pod", "far"], "{.status.podIP}"));
    let may = |pod| fetch(&kubectl, pod, &url).0 == 0;
    eventually("without policies everything passes", || may("friend") && may("stranger"));

    let policy = |name: &str, spec: &str| {
        format!("{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: {name}}}, spec: {spec}}}")
    };
    let from_friends = "{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: \
                        {matchLabels: {app: friend}}}]}]}";
    kubectl.apply(&policy("from-friends", from_friends));
    eventually("the far node keeps strangers out", || !may("stranger"));
    assert!(may("friend"), "and nobody else");
    // The near node knows as well what is let in there, and spares the far one the question.
    assert!(denied(&kubectl, "one", "ingress") > 0);

    kubectl.apply(&policy("silent", "{podSelector: {matchLabels: {app: friend}}, policyTypes: [Egress], egress: []}"));
    eventually("the near node lets nothing out", || !may("friend"));
    assert!(denied(&kubectl, "one", "egress") > 0);
    let log = scene.one.log();
    assert!(log.contains("friend") && log.contains("denied"), "{log}");
}

/// Flows of TCP that the node's policies denied.
fn denied(kubectl: &Kubectl, node: &str, direction: &str) -> u64 {
    let metrics = kubectl.run(&["get", "--raw", &format!("/api/v1/nodes/{node}/proxy/metrics")]);
    let name =
        format!("carob_network_flows_denied_total{{direction=\"{direction}\",protocol=\"tcp\",reason=\"policy\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or_else(|| panic!("{metrics}"))
}
