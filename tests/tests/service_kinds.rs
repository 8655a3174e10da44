//! Every kind of Service and port of the host as clients outside see it: load balancers, ports of Pods, UDP, endpoints that
//! somebody writes by hand, affinity, and what is refused.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Once;
use std::time::Duration;

use carob_tests::{Cluster, Http, Kubectl, eventually, eventually_some, manifests, samples};
use http::StatusCode;

fn cluster() -> &'static Cluster {
    static LOADED: Once = Once::new();
    let cluster = Cluster::shared();
    LOADED.call_once(|| {
        cluster.load(&samples().join("udp-echo.wasm"), "samples/udp-echo:1");
        cluster.load(&samples().join("tcp-echo.wasm"), "samples/tcp-echo:1");
    });
    cluster
}

/// Where the host listens for Services and Pods.
fn host() -> Ipv4Addr {
    cluster().node_port_address()
}

fn url(port: &str) -> String {
    format!("http://{}:{port}/", host())
}

fn answers(url: &str, status: StatusCode) -> String {
    let http = Http::default();
    let answer = || http.get(url).ok().filter(|(answered, _)| *answered == status).map(|(_, text)| text);
    eventually_some(&format!("{status} from {url}"), answer)
}

fn is_closed(url: &str) -> bool {
    Http::default().get(url).is_err()
}

/// A port that nobody listens at now.
fn free_port() -> String {
    TcpListener::bind((host(), 0)).unwrap().local_addr().unwrap().port().to_string()
}

/// A Service for `app` with this in its spec, beside its selector.
fn service(name: &str, app: &str, spec: &str) -> String {
    format!("{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {{selector: {{app: {app}}}, {spec}}}}}")
}

fn external_ip(kubectl: &Kubectl, name: &str) -> String {
    let row = kubectl.run(&["get", "service", name, "--no-headers"]);
    row.split_whitespace().nth(3).unwrap_or_default().to_owned()
}

fn has_event(kubectl: &Kubectl, of: &str, reason: &str) -> bool {
    let selector = format!("involvedObject.name={of},reason={reason}");
    !kubectl.field(&["events", "--field-selector", &selector], "{.items[*].message}").is_empty()
}

#[test]
fn a_load_balancer_is_the_host_and_its_port_is_its_own_until_it_goes() {
    let kubectl = cluster().namespace("balanced");
    kubectl.apply(&manifests::deployment("web", 1));
    let port = free_port();
    let balancer =
        |name: &str| service(name, "web", &format!("type: LoadBalancer, ports: [{{port: {port}, targetPort: http}}]"));
    kubectl.apply(&balancer("first"));
    eventually("the Service has its address", || external_ip(&kubectl, "first") == host().to_string());
    answers(&url(&port), StatusCode::OK);
    eventually("it is told", || has_event(&kubectl, "first", "EnsuredLoadBalancer"));

    kubectl.apply(&balancer("second"));
    eventually("the second hears whose it is", || has_event(&kubectl, "second", "SyncLoadBalancerFailed"));
    assert_eq!(external_ip(&kubectl, "second"), "<pending>");
    kubectl.run(&["delete", "service", "first"]);
    eventually("the second has it", || external_ip(&kubectl, "second") == host().to_string());
    answers(&url(&port), StatusCode::OK);

    kubectl.run(&["patch", "service", "second", "--patch", r#"{"spec": {"type": "ClusterIP"}}"#]);
    eventually("the port is closed", || is_closed(&url(&port)));
    assert_eq!(kubectl.field(&["service", "second"], "{.status.loadBalancer}"), "{}");
}

#[test]
fn a_load_balancer_of_another_class_is_left_alone() {
    let kubectl = cluster().namespace("other-class");
    kubectl.apply(&manifests::deployment("web", 1));
    let (others, ours) = (free_port(), free_port());
    let of_class = |name: &str, class: &str, port: &str| {
        let ports = format!("ports: [{{port: {port}, targetPort: http}}]");
        service(name, "web", &format!("type: LoadBalancer, loadBalancerClass: {class}, {ports}"))
    };
    kubectl.apply(&of_class("others", "example.com/other", &others));
    kubectl.apply(&of_class("ours", "carob.dev/host", &ours));
    answers(&url(&ours), StatusCode::OK);
    assert_eq!(external_ip(&kubectl, "others"), "<pending>");
    assert!(is_closed(&url(&others)));
    let changed = r#"{"spec": {"loadBalancerClass": "example.com/other"}}"#;
    let refused = kubectl.attempt(&["patch", "service", "ours", "--patch", changed]);
    assert!(refused.stderr.contains("may not change once set"), "{}", refused.stderr);
}

#[test]
fn where_flows_stay_on_their_node_load_balancers_can_ask_whether_endpoints_are_there() {
    let kubectl = cluster().namespace("health");
    kubectl.apply(&manifests::deployment("web", 0));
    let port = free_port();
    kubectl.apply(&service(
        "web",
        "web",
        &format!(
            "type: LoadBalancer, externalTrafficPolicy: Local, loadBalancerSourceRanges: [127.0.0.0/8], \
             ports: [{{port: {port}, targetPort: http}}]"
        ),
    ));
    let health = url(&kubectl.field(&["service", "web"], "{.spec.healthCheckNodePort}"));
    assert!(answers(&health, StatusCode::SERVICE_UNAVAILABLE).contains(r#""localEndpoints": 0"#));
    assert_eq!(external_ip(&kubectl, "web"), "<pending>", "no node has an endpoint");
    kubectl.run(&["scale", "deployment/web", "--replicas", "2"]);
    assert!(answers(&health, StatusCode::OK).contains(r#""name": "web""#));
    answers(&url(&port), StatusCode::OK);
    kubectl.run(&["patch", "service", "web", "--patch", r#"{"spec": {"externalTrafficPolicy": "Cluster"}}"#]);
    eventually("nobody asks any more", || is_closed(&health));
    answers(&url(&port), StatusCode::OK);
}

#[test]
fn a_pod_has_its_port_of_the_host_and_no_other_on_that_node() {
    let kubectl = cluster().namespace("host-port");
    let port = free_port();
    let pod = |name: &str, ip: &str| {
        let ports = format!("ports: [{{containerPort: 8080, hostPort: {port}, hostIP: '{ip}'}}]");
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{terminationGracePeriodSeconds: 1, \
             containers: [{{name: hello, image: 'samples/hello-http:1', {ports}}}]}}}}"
        )
    };
    kubectl.apply(&pod("first", &host().to_string()));
    answers(&url(&port), StatusCode::OK);
    kubectl.apply(&pod("second", &host().to_string()));
    kubectl.apply(&pod("elsewhere", "127.0.0.2"));
    answers(&format!("http://127.0.0.2:{port}/"), StatusCode::OK);
    let why = || kubectl.field(&["pod", "second"], "{.status.conditions[?(@.type=='PodScheduled')].message}");
    let full = "didn't have free ports for the requested pod ports";
    eventually("the second waits for the port", || why().contains(full));
    kubectl.run(&["delete", "pod", "first"]);
    eventually("the second runs", || kubectl.field(&["pod", "second"], "{.status.phase}") == "Running");
    answers(&url(&port), StatusCode::OK);
    kubectl.run(&["delete", "pod", "second"]);
    eventually("the port is closed", || is_closed(&url(&port)));
}

#[test]
fn a_port_of_the_host_that_is_in_use_becomes_an_event() {
    let kubectl = cluster().namespace("in-use");
    let squatter = TcpListener::bind((host(), 0)).unwrap();
    let port = squatter.local_addr().unwrap().port();
    kubectl.apply(&manifests::deployment("web", 1));
    let ports = format!("ports: [{{port: {port}, targetPort: http}}]");
    kubectl.apply(&service("web", "web", &format!("type: LoadBalancer, {ports}")));
    eventually("its owner hears of it", || has_event(&kubectl, "web", "LoadBalancerPortUnavailable"));
    drop(squatter);
    answers(&url(&port.to_string()), StatusCode::OK);
}

#[test]
fn datagrams_reach_a_pod_by_a_node_port_and_by_its_port_of_the_host() {
    let kubectl = cluster().namespace("datagrams");
    let port = free_port();
    let ports = format!("ports: [{{containerPort: 7, protocol: UDP, hostPort: {port}}}]");
    kubectl.apply(&format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: echo, labels: {{app: echo}}}}, spec: {{containers: \
         [{{name: echo, image: 'samples/udp-echo:1', {ports}}}]}}}}"
    ));
    let ports = "type: NodePort, ports: [{name: udp, port: 7, protocol: UDP}, {name: tcp, port: 7, protocol: TCP}]";
    kubectl.apply(&service("echo", "echo", ports));
    let node_ports = kubectl.field(&["service", "echo"], "{.spec.ports[*].nodePort}");
    let node_ports: Vec<&str> = node_ports.split_whitespace().collect();
    assert_eq!(node_ports[0], node_ports[1], "ports of one number share a node port");
    for port in [&port, node_ports[0]] {
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        client.connect(SocketAddr::new(host().into(), port.parse().unwrap())).unwrap();
        let mut answer = [0; 16];
        // Until the server has its socket, datagrams are lost.
        let echoed = || {
            let _ = client.send(b"is it you?");
            client.recv(&mut answer).ok().map(|length| answer[..length].to_vec())
        };
        assert_eq!(eventually_some(&format!("an answer from port {port}"), echoed), b"is it you?");
    }
}

#[test]
fn endpoints_that_somebody_writes_by_hand_are_reached() {
    let kubectl = cluster().namespace("by-hand");
    kubectl.apply(&manifests::deployment("web", 1));
    kubectl.run(&["rollout", "status", "deployment/web"]);
    let ip = kubectl.field(&["pods"], "{.items[0].status.podIP}");
    for name in ["of-a-slice", "of-endpoints"] {
        kubectl.apply(&format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, \
             spec: {{type: NodePort, ports: [{{name: http, port: 80}}]}}}}"
        ));
    }
    kubectl.apply(&format!(
        "{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, \
         metadata: {{name: by-hand, labels: {{kubernetes.io/service-name: of-a-slice}}}}, \
         ports: [{{name: http, port: 8080}}], endpoints: [{{addresses: [{ip}]}}]}}"
    ));
    kubectl.apply(&format!(
        "{{apiVersion: v1, kind: Endpoints, metadata: {{name: of-endpoints}}, \
         subsets: [{{addresses: [{{ip: {ip}}}], ports: [{{name: http, port: 8080}}]}}]}}"
    ));
    for name in ["of-a-slice", "of-endpoints"] {
        answers(&url(&kubectl.field(&["service", name], "{.spec.ports[0].nodePort}")), StatusCode::OK);
    }
    kubectl.run(&["delete", "endpoints", "of-endpoints"]);
    let port = kubectl.field(&["service", "of-endpoints"], "{.spec.ports[0].nodePort}");
    answers(&url(&port), StatusCode::SERVICE_UNAVAILABLE);
}

#[test]
fn a_client_stays_where_it_was_if_the_service_says_so() {
    let kubectl = cluster().namespace("affinity");
    kubectl.apply(&manifests::deployment("web", 4));
    kubectl.run(&["rollout", "status", "deployment/web"]);
    let kept = "sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 3600}}";
    let ports = "type: NodePort, ports: [{port: 80, targetPort: http}]";
    kubectl.apply(&service("web", "web", &format!("{kept}, {ports}")));
    let url = url(&kubectl.field(&["service", "web"], "{.spec.ports[0].nodePort}"));
    let first = answers(&url, StatusCode::OK);
    for _ in 0..20 {
        assert_eq!(answers(&url, StatusCode::OK), first);
    }
}

#[test]
fn pods_that_are_not_ready_are_reached_only_if_the_service_publishes_them() {
    let kubectl = cluster().namespace("unready");
    kubectl.apply(
        "{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {app: web}}, spec: {containers: [{name: hello, \
         image: 'samples/hello-http:1', ports: [{name: http, containerPort: 8080}], \
         readinessProbe: {httpGet: {port: 9, path: /}}}]}}",
    );
    let ports = "type: NodePort, ports: [{port: 80, targetPort: http}]";
    kubectl.apply(&service("hidden", "web", ports));
    kubectl.apply(&service("published", "web", &format!("publishNotReadyAddresses: true, {ports}")));
    let port = |name: &str| kubectl.field(&["service", name], "{.spec.ports[0].nodePort}");
    answers(&url(&port("published")), StatusCode::OK);
    answers(&url(&port("hidden")), StatusCode::SERVICE_UNAVAILABLE);
}

#[test]
fn a_second_family_of_addresses_is_refused_as_kubernetes_does() {
    let kubectl = cluster().namespace("families");
    let of = |policy: &str| service("web", "web", &format!("ipFamilyPolicy: {policy}, ports: [{{port: 80}}]"));
    let refused = kubectl.attempt_with(&["create", "--filename", "-"], &of("RequireDualStack"));
    let why =
        r#"spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack"#;
    assert!(refused.stderr.contains(why), "{}", refused.stderr);
    kubectl.apply(&of("PreferDualStack"));
    let families = kubectl.field(&["service", "web"], "{.spec.ipFamilies} {.spec.ipFamilyPolicy}");
    assert_eq!(families, r#"["IPv4"] PreferDualStack"#);
    let ip = kubectl.field(&["service", "web"], "{.spec.clusterIP}");
    assert_eq!(kubectl.field(&["service", "web"], "{.spec.clusterIPs}"), format!("[\"{ip}\"]"));
}
