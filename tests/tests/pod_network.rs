//! The Pods' own network as its users see it: servers and clients on sockets, components that call each other by name, and
//! a Pod that takes all the sockets it can get.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::sync::Once;

use carob_tests::{Cluster, Http, Kubectl, eventually, eventually_some, manifests, samples};
use http::StatusCode;

macro_rules! manifest {
    ($name:literal) => {
        include_str!(concat!("../../samples/manifests/", $name, ".yaml"))
    };
}

/// The servers' and the client's manifests of one version of WASI.
const ECHO: [(&str, [&str; 3]); 2] = [
    ("", [manifest!("tcp-echo"), manifest!("udp-echo"), manifest!("echo-client")]),
    ("-p3", [manifest!("tcp-echo-p3"), manifest!("udp-echo-p3"), manifest!("echo-client-p3")]),
];

/// The cluster of this file, with the samples that it is about.
fn cluster() -> &'static Cluster {
    static LOADED: Once = Once::new();
    let cluster = Cluster::shared();
    LOADED.call_once(|| {
        let samples_of = |name: &str| [name.to_owned(), format!("{name}-p3")];
        for name in ["tcp-echo", "udp-echo", "echo-client", "front"].into_iter().flat_map(samples_of) {
            cluster.load(&samples().join(format!("{name}.wasm")), &format!("samples/{name}:1"));
        }
    });
    cluster
}

fn phase(kubectl: &Kubectl, pod: &str) -> String {
    kubectl.field(&["pod", pod], "{.status.phase}")
}

/// Runs a client to its end; answers how it ended and what it printed.
fn ask(kubectl: &Kubectl, pod: &str, image: &str, args: &[&str]) -> (String, String) {
    let manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {pod}}}\nspec:\n  restartPolicy: Never\n  containers:\n    \
         - {{name: client, image: \"{image}\", args: {args:?}}}\n"
    );
    kubectl.apply(&manifest);
    eventually(&format!("{pod} has ended"), || ["Succeeded", "Failed"].contains(&phase(kubectl, pod).as_str()));
    (phase(kubectl, pod), kubectl.run(&["logs", pod]))
}

fn answers(http: &Http, url: &str, status: StatusCode) -> String {
    let answer = || http.get(url).ok().filter(|(answered, _)| *answered == status).map(|(_, text)| text);
    eventually_some(&format!("{status} from {url}"), answer)
}

#[test]
fn clients_reach_echo_servers_by_the_names_of_their_services() {
    for (suffix, [tcp, udp, client]) in ECHO {
        let kubectl = cluster().namespace(&format!("echo{suffix}"));
        kubectl.apply(tcp);
        kubectl.apply(udp);
        for server in ["tcp-echo", "udp-echo"] {
            kubectl.run(&["rollout", "status", &format!("deployment/{server}{suffix}"), "--timeout=120s"]);
            let log = || kubectl.run(&["logs", &format!("deployment/{server}{suffix}")]).contains("listening");
            eventually(&format!("{server}{suffix} listens"), log);
        }
        kubectl.apply(client);
        let pod = format!("echo-client{suffix}");
        eventually(&format!("{pod} succeeds"), || phase(&kubectl, &pod) == "Succeeded");
        let log = kubectl.run(&["logs", &pod]);
        assert_eq!(log.matches("is anybody there?").count(), 2, "{log}");
    }
}

#[test]
fn a_pod_is_reached_at_its_own_address_and_nobody_at_a_closed_port() {
    let kubectl = cluster().namespace("echo-by-ip");
    kubectl.apply(manifest!("tcp-echo"));
    kubectl.run(&["rollout", "status", "deployment/tcp-echo", "--timeout=120s"]);
    eventually("it listens", || kubectl.run(&["logs", "deployment/tcp-echo"]).contains("listening"));
    let ip = kubectl.field(&["pods", "-l", "app=tcp-echo"], "{.items[0].status.podIP}");
    let (phase, log) = ask(&kubectl, "by-ip", "samples/echo-client:1", &["tcp", &format!("{ip}:7")]);
    assert_eq!(phase, "Succeeded", "{log}");
    let (phase, log) = ask(&kubectl, "closed", "samples/echo-client:1", &["tcp", &format!("{ip}:8")]);
    assert_eq!(phase, "Failed", "{log}");
    assert!(log.contains("refused"), "{log}");
    let (phase, log) = ask(&kubectl, "unknown", "samples/echo-client:1", &["tcp", "no-such-service:7"]);
    assert_eq!(phase, "Failed", "{log}");
}

#[test]
fn the_loopback_of_a_pod_has_both_address_families() {
    let kubectl = cluster().namespace("loopback");
    kubectl.apply(
        r#"
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  restartPolicy: OnFailure
  terminationGracePeriodSeconds: 1
  containers:
    - {name: six, image: "samples/tcp-echo:1", args: ["[::]:7"]}
    - {name: four, image: "samples/tcp-echo:1", args: ["0.0.0.0:7"]}
    - {name: client, image: "samples/echo-client:1", args: [tcp, "[::1]:7", tcp, "127.0.0.1:7"]}
    - {name: client-p3, image: "samples/echo-client-p3:1", args: [tcp, "[::1]:7", tcp, "127.0.0.1:7"]}
"#,
    );
    for client in ["client", "client-p3"] {
        let path = format!("{{.status.containerStatuses[?(@.name=='{client}')].state.terminated.exitCode}}");
        eventually(&format!("{client} was answered"), || kubectl.field(&["pod", "p"], &path) == "0");
        let log = kubectl.run(&["logs", "p", "--container", client]);
        assert_eq!(log, "tcp [::1]:7: is anybody there?\ntcp 127.0.0.1:7: is anybody there?\n");
    }
}

#[test]
fn the_hosts_own_addresses_are_no_addresses_of_a_pod() {
    let cluster = cluster();
    let kubectl = cluster.namespace("host-unreachable");
    // The node ports' address is one of the host's loopback, where somebody listens for sure.
    kubectl.apply(&manifests::deployment("web", 1));
    kubectl.apply(&manifests::node_port("web"));
    let port = kubectl.field(&["service", "web"], "{.spec.ports[0].nodePort}");
    let address = format!("{}:{port}", cluster.node_port_address());
    answers(&Http::default(), &format!("http://{address}/"), StatusCode::OK);
    for image in ["samples/echo-client:1", "samples/echo-client-p3:1"] {
        let pod = image.trim_start_matches("samples/").trim_end_matches(":1");
        let (phase, log) = ask(&kubectl, pod, image, &["tcp", &address]);
        assert_eq!(phase, "Failed", "{log}");
    }
}

#[test]
fn a_component_calls_another_by_the_name_of_its_service() {
    let cluster = cluster();
    let versions = [
        ("front", manifest!("front"), manifest!("hello-http"), "30082"),
        ("front-p3", manifest!("front-p3"), manifest!("hello-http-p3"), "30083"),
    ];
    for (name, front, backend, port) in versions {
        let kubectl = cluster.namespace(&format!("calls-{name}"));
        // Other tests have the node ports of the backends.
        let backend = backend.replace("  type: NodePort\n", "").replace("      nodePort: 30080\n", "");
        kubectl.apply(&backend.replace("      nodePort: 30081\n", ""));
        kubectl.apply(front);
        kubectl.run(&["rollout", "status", &format!("deployment/{name}"), "--timeout=120s"]);
        let url = format!("http://{}:{port}/", cluster.node_port_address());
        let said = answers(&Http::default(), &url, StatusCode::OK);
        assert!(said.starts_with("The backend says: Hello, world! This is hello-http"), "{said}");

        kubectl.run(&["delete", "service", name.replace("front", "hello-http").as_str()]);
        let said = answers(&Http::default(), &url, StatusCode::BAD_GATEWAY);
        assert!(said.starts_with("No answer from the backend: "), "{said}");
        kubectl.run(&["delete", "service", name]);
    }
}

#[test]
fn a_pod_gets_so_many_sockets_and_its_neighbours_still_theirs() {
    let kubectl = cluster().namespace("socket-flood");
    for name in ["flood-1", "flood-2"] {
        kubectl.apply(&manifests::misbehave(name, "Never", &["sockets"]));
    }
    for name in ["flood-1", "flood-2"] {
        let took = eventually_some("the flood ends", || {
            let log = kubectl.attempt(&["logs", name]).stdout;
            log.lines().find(|line| line.starts_with("took ")).map(str::to_owned)
        });
        let count: usize = took.split(' ').nth(1).unwrap().parse().unwrap();
        assert!(count > 100, "{took}");
        assert_eq!(phase(&kubectl, name), "Running");
    }
    kubectl.apply(manifest!("tcp-echo"));
    kubectl.run(&["rollout", "status", "deployment/tcp-echo", "--timeout=120s"]);
    eventually("it listens", || kubectl.run(&["logs", "deployment/tcp-echo"]).contains("listening"));
    let (phase, log) = ask(&kubectl, "neighbour", "samples/echo-client:1", &["tcp", "tcp-echo:7"]);
    assert_eq!(phase, "Succeeded", "{log}");
    kubectl.run(&["delete", "pod", "flood-1", "flood-2", "--grace-period", "1"]);
}

#[test]
fn flows_that_are_denied_are_counted_in_the_nodes_metrics() {
    let kubectl = cluster().namespace("denied-flows");
    let node = kubectl.field(&["nodes"], "{.items[0].metadata.name}");
    let denied = |protocol: &str| -> u64 {
        let metrics = kubectl.run(&["get", "--raw", &format!("/api/v1/nodes/{node}/proxy/metrics")]);
        let name = format!(
            "carob_network_flows_denied_total{{direction=\"egress\",protocol=\"{protocol}\",reason=\"shield\"}} "
        );
        metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or_else(|| panic!("{metrics}"))
    };
    let before = [denied("tcp"), denied("udp")];
    let forbidden = "169.254.169.254:80";
    let (phase, log) = ask(&kubectl, "curious", "samples/echo-client:1", &["tcp", forbidden, "udp", forbidden]);
    assert_eq!((phase.as_str(), log.lines().count()), ("Failed", 2), "{log}");
    assert!(denied("tcp") > before[0] && denied("udp") > before[1], "{before:?}");
}
