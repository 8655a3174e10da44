//! DNS as its users see it: with `dig`, with a resolver of hickory's, and from within Pods.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod dns_support;

use std::net::SocketAddr;
use std::sync::Once;

use carob_tests::{Cluster, Kubectl, Node, Server, eventually, eventually_some, samples};
use dns_support::{Asked, Elsewhere, dig, hickory, hickory_searches, soa_of_nothing};

/// A Service of each kind, with endpoints that a test chooses, and a Pod that has a name.
const OBJECTS: &str = include_str!("dns_support/objects.yaml");

/// What is asked for, of which type, and what is said: names of the namespace end in `.ns`, and an address asks for its name.
type Expected = (&'static str, &'static str, &'static str, &'static [&'static str]);

const NOTHING: &[&str] = &[];

/// The names of the Kubernetes DNS specification 1.1, section by section.
const SPECIFICATION: &[Expected] = &[
    // 2.2: the version of the schema.
    ("dns-version.cluster.local", "TXT", "NOERROR", &["1.1.0"]),
    // 2.3.1: addresses of a Service.
    ("web.ns", "A", "NOERROR", &["10.96.77.9"]),
    ("WEB.ns", "A", "NOERROR", &["10.96.77.9"]),
    ("web.ns", "AAAA", "NOERROR", NOTHING),
    ("web.ns", "MX", "NOERROR", NOTHING),
    ("kubernetes.default.svc.cluster.local", "A", "NOERROR", &["10.96.0.1"]),
    ("kube-dns.kube-system.svc.cluster.local", "A", "NOERROR", &["10.96.0.10"]),
    // 2.3.2: its named ports.
    ("_http._tcp.web.ns", "SRV", "NOERROR", &["0 100 80 web.ns."]),
    ("_dns._udp.web.ns", "SRV", "NOERROR", &["0 100 53 web.ns."]),
    ("_http._udp.web.ns", "SRV", "NXDOMAIN", NOTHING),
    ("_http._tcp.web.ns", "A", "NOERROR", NOTHING),
    ("_tcp.web.ns", "A", "NOERROR", NOTHING),
    // 2.3.3: the names of its addresses.
    ("10.96.77.9", "PTR", "NOERROR", &["web.ns."]),
    ("10.96.77.10", "PTR", "NXDOMAIN", NOTHING),
    // 2.4.1: endpoints of a headless Service, those that are ready.
    ("db.ns", "A", "NOERROR", &["10.244.99.5", "10.244.99.6"]),
    ("db.ns", "AAAA", "NOERROR", &["fd00::5"]),
    ("first.db.ns", "A", "NOERROR", &["10.244.99.5"]),
    ("first.db.ns", "AAAA", "NOERROR", &["fd00::5"]),
    ("10-244-99-6.db.ns", "A", "NOERROR", &["10.244.99.6"]),
    ("10-244-99-6.db.ns", "AAAA", "NOERROR", NOTHING),
    ("late.db.ns", "A", "NXDOMAIN", NOTHING),
    ("empty.ns", "A", "NXDOMAIN", NOTHING),
    ("early.ns", "A", "NOERROR", &["10.244.99.8"]),
    ("soon.early.ns", "A", "NOERROR", &["10.244.99.8"]),
    // 2.4.2: their named ports.
    ("_sql._tcp.db.ns", "SRV", "NOERROR", &["0 50 5432 10-244-99-6.db.ns.", "0 50 5432 first.db.ns."]),
    ("_nobody._tcp.db.ns", "SRV", "NXDOMAIN", NOTHING),
    // 2.4.3: the names of their addresses.
    ("10.244.99.5", "PTR", "NOERROR", &["first.db.ns."]),
    ("10.244.99.6", "PTR", "NOERROR", &["10-244-99-6.db.ns."]),
    ("fd00::5", "PTR", "NOERROR", &["first.db.ns."]),
    // 2.5: names that stand for others.
    ("inside.ns", "CNAME", "NOERROR", &["web.ns."]),
    ("inside.ns", "A", "NOERROR", &["10.96.77.9", "web.ns."]),
    ("outside.ns", "CNAME", "NOERROR", &["www.example.com."]),
    // Pods by their addresses.
    ("1-2-3-4.dns-records.pod.cluster.local", "A", "NOERROR", &["1.2.3.4"]),
    ("fd00--7.dns-records.pod.cluster.local", "AAAA", "NOERROR", &["fd00::7"]),
    ("1-2-3-4.nowhere.pod.cluster.local", "A", "NXDOMAIN", NOTHING),
    // The zone, and what there is not.
    ("cluster.local", "NS", "NOERROR", &["ns.dns.cluster.local."]),
    ("ns.dns.cluster.local", "A", "NOERROR", &["10.96.0.10"]),
    ("cluster.local", "A", "NOERROR", NOTHING),
    ("svc.cluster.local", "A", "NOERROR", NOTHING),
    ("ns", "A", "NOERROR", NOTHING),
    ("nobody.ns", "A", "NXDOMAIN", NOTHING),
    ("web.nowhere.svc.cluster.local", "A", "NXDOMAIN", NOTHING),
    ("nonsense.cluster.local", "A", "NXDOMAIN", NOTHING),
];

const NAMESPACE: &str = "dns-records";
const DOMAIN: &str = "dns-records.svc.cluster.local";

/// The shared cluster with the objects.
fn objects() -> &'static Cluster {
    static APPLIED: Once = Once::new();
    let cluster = Cluster::shared();
    APPLIED.call_once(|| apply(&cluster.namespace(NAMESPACE), cluster.dns()));
    cluster
}

/// Makes the objects, and waits until all of them have names.
fn apply(kubectl: &Kubectl, dns: SocketAddr) {
    kubectl.apply(OBJECTS);
    let endpoint = |host: usize| format!("  - {{addresses: [10.244.98.{host}], conditions: {{ready: true}}}}\n");
    let many = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\nendpoints:\n".to_owned()
        + &(1..=100).map(endpoint).collect::<String>();
    kubectl.apply(&(many + "metadata: {name: many-1, labels: {kubernetes.io/service-name: many}}\n"));
    for (name, kind) in [("early.ns", "A"), ("first.db.ns", "A"), ("first.db.ns", "AAAA"), ("many.ns", "A")] {
        eventually("the endpoints have names", || !dig(dns, &full(name), kind, &[]).records.is_empty());
    }
}

fn full(name: &str) -> String {
    match name.strip_suffix('.') {
        Some(name) => full(name) + ".",
        None if name == "ns" => DOMAIN.to_owned(),
        None => name.strip_suffix(".ns").map_or(name.to_owned(), |name| format!("{name}.{DOMAIN}")),
    }
}

/// As both clients write it: each record's data, sorted.
fn expected(status: &str, records: &[&str]) -> Asked {
    let data = |record: &&str| record.split(' ').map(full).collect::<Vec<_>>().join(" ");
    let mut records: Vec<String> = records.iter().map(data).collect();
    records.sort();
    Asked { status: status.to_owned(), records }
}

#[test]
fn dig_and_hickory_see_every_record_of_the_specification() {
    let dns = objects().dns();
    for (name, kind, status, records) in SPECIFICATION {
        let (name, expected) = (full(name), expected(status, records));
        for over in ["+notcp", "+tcp"] {
            assert_eq!(dig(dns, &name, kind, &[over]), expected, "dig {name} {kind} {over}");
        }
        assert_eq!(hickory(dns, &name, kind), expected, "hickory: {name} {kind}");
    }
}

#[test]
fn whoever_hears_of_nothing_hears_for_how_long() {
    let dns = objects().dns();
    let empty = SPECIFICATION.iter().filter(|(_, _, _, records)| records.is_empty());
    for (name, kind, ..) in empty {
        let (zone, server) = soa_of_nothing(dns, &full(name), kind);
        let apex = if name.starts_with("10.96") { "96.10.in-addr.arpa." } else { "cluster.local." };
        assert_eq!((zone.as_str(), server.as_str()), (apex, "ns.dns.cluster.local."), "{name} {kind}");
    }
    let soa = dig(dns, "cluster.local", "SOA", &[]);
    assert!(soa.records[0].starts_with("ns.dns.cluster.local. hostmaster.cluster.local. "), "{soa:?}");
}

#[test]
fn what_does_not_fit_into_a_packet_is_asked_again_by_tcp() {
    let dns = objects().dns();
    let name = full("many.ns");
    let cut = dig(dns, &name, "A", &["+ignore", "+noedns"]);
    assert!((1..=30).contains(&cut.records.len()), "in 512 bytes there is place for fewer than {}", cut.records.len());
    assert_eq!(dig(dns, &name, "A", &["+noedns"]).records.len(), 100, "dig asks again by TCP");
    assert_eq!(hickory(dns, &name, "A").records.len(), 100, "and so does hickory");
}

#[test]
fn a_pod_with_a_hostname_and_a_subdomain_has_a_name() {
    let cluster = objects();
    let kubectl = cluster.kubectl().within(NAMESPACE);
    cluster.load(&samples().join("hello-http.wasm"), "samples/hello-http:1");
    kubectl.run(&["wait", "--for=condition=Ready", "pod/named", "--timeout=120s"]);
    let ip = kubectl.field(&["pod", "named"], "{.status.podIP}");
    let found = || dig(cluster.dns(), &full("zero.sub.ns"), "A", &[]).records;
    eventually("the Pod has a name", || found() == [ip.clone()]);
    assert_eq!(dig(cluster.dns(), &ip, "PTR", &[]).records, [full("zero.sub.ns.")]);
    let dashed = format!("{}.{NAMESPACE}.pod.cluster.local", ip.replace('.', "-"));
    assert_eq!(hickory(cluster.dns(), &dashed, "A").records, [ip]);
}

#[test]
fn a_short_name_is_searched_for_as_resolv_conf_says() {
    let dns = objects().dns();
    let search = [DOMAIN, "svc.cluster.local", "cluster.local"];
    for (name, ndots, found) in [
        ("web", 5, &["10.96.77.9"][..]),
        ("kubernetes.default", 5, &["10.96.0.1"]),
        ("web.dns-records.svc", 1, &["10.96.77.9"]),
        ("nobody.dns-records.svc.cluster.local.", 1, &[]),
    ] {
        assert_eq!(hickory_searches(dns, &search, ndots, name), found, "{name}");
    }
}

#[test]
fn names_come_and_go_with_their_services() {
    let cluster = Cluster::shared();
    let kubectl = cluster.namespace("dns-changes");
    let name = "web.dns-changes.svc.cluster.local";
    let ask = || dig(cluster.dns(), name, "A", &[]);
    assert_eq!(ask().status, "NXDOMAIN");
    kubectl.run(&["create", "service", "clusterip", "web", "--tcp=80"]);
    let address = kubectl.field(&["service", "web"], "{.spec.clusterIP}");
    eventually("the name is known", || ask().records == [address.clone()]);
    kubectl.run(&["delete", "service", "web"]);
    eventually("the name is gone", || ask().status == "NXDOMAIN");
}

#[test]
fn a_pods_file_is_what_its_policy_and_config_say() {
    let cluster = Cluster::shared();
    let kubectl = cluster.namespace("dns-policy");
    cluster.load(&samples().join("hello-http.wasm"), "samples/hello-http:1");
    let host = std::fs::read_to_string("/etc/resolv.conf").unwrap();
    let host_server = host.lines().find(|line| line.starts_with("nameserver")).unwrap_or("nameserver 127.0.0.1");
    let clusters = "nameserver 10.96.0.10\nsearch dns-policy.svc.cluster.local svc.cluster.local cluster.local";
    let config =
        "dnsConfig: {nameservers: [192.0.2.53], searches: [lab.example], options: [{name: ndots, value: \"2\"}]}";
    for (name, spec, expected) in [
        ("usual", "restartPolicy: Always".to_owned(), clusters.to_owned()),
        ("with-host-net", "dnsPolicy: ClusterFirstWithHostNet".to_owned(), clusters.to_owned()),
        ("hosts", "dnsPolicy: Default".to_owned(), host_server.to_owned()),
        (
            "own",
            format!("dnsPolicy: None\n  {config}"),
            "nameserver 192.0.2.53\nsearch lab.example\noptions ndots:2\n".to_owned(),
        ),
    ] {
        kubectl.apply(&format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  {spec}\n  containers:\n    \
             - {{name: web, image: \"samples/hello-http:1\"}}\n"
        ));
        kubectl.run(&["wait", "--for=condition=Ready", &format!("pod/{name}"), "--timeout=120s"]);
        let file = kubectl.run(&["exec", name, "--", "cat", "/etc/resolv.conf"]);
        assert!(file.starts_with(&expected), "{name}: {file}");
    }
}

/// Runs `echo-client` in a Pod with this `spec` until it has ended: its phase, and what it has said.
fn echo_client(kubectl: &Kubectl, name: &str, spec: &str, args: &str) -> (String, String) {
    kubectl.apply(&format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  {spec}\n  containers:\n    \
         - {{name: client, image: \"samples/echo-client:1\", args: [{args}]}}\n"
    ));
    let phase = || kubectl.field(&["pod", name], "{.status.phase}");
    eventually("it has ended", || ["Succeeded", "Failed"].contains(&phase().as_str()));
    (phase(), kubectl.run(&["logs", name]))
}

#[test]
fn guests_find_names_by_the_search_domains_of_their_pod() {
    let cluster = Cluster::shared();
    cluster.load(&samples().join("tcp-echo.wasm"), "samples/tcp-echo:1");
    cluster.load(&samples().join("echo-client.wasm"), "samples/echo-client:1");
    let kubectl = cluster.namespace("dns-inside");
    kubectl.apply(include_str!("../../samples/manifests/tcp-echo.yaml"));
    kubectl.run(&["rollout", "status", "deployment/tcp-echo", "--timeout=120s"]);
    eventually("it listens", || kubectl.run(&["logs", "deployment/tcp-echo"]).contains("listening"));
    let other = cluster.namespace("dns-inside-other");
    let own =
        |search: &str| format!("dnsPolicy: None\n  dnsConfig: {{nameservers: [10.96.0.10], searches: [{search}]}}");
    for (kubectl, name, spec, host, phase) in [
        (&kubectl, "short", "dnsPolicy: ClusterFirst".to_owned(), "tcp-echo", "Succeeded"),
        (&other, "longer", "dnsPolicy: ClusterFirst".to_owned(), "tcp-echo.dns-inside", "Succeeded"),
        (&other, "short", "dnsPolicy: ClusterFirst".to_owned(), "tcp-echo", "Failed"),
        (&other, "own", own("dns-inside.svc.cluster.local"), "tcp-echo", "Succeeded"),
        (&kubectl, "own", own("lab.example"), "tcp-echo", "Failed"),
    ] {
        let (ended, said) = echo_client(kubectl, name, &spec, &format!("tcp, \"{host}:7\""));
        assert_eq!(ended, phase, "{name}: {said}");
    }
}

#[test]
fn pods_reach_the_dns_at_its_address_by_udp_and_tcp() {
    let cluster = Cluster::shared();
    cluster.load(&samples().join("echo-client.wasm"), "samples/echo-client:1");
    let kubectl = cluster.namespace("dns-address");
    // What the client sends is, read as DNS, a packet of a kind that is not served: it hears so by UDP. By TCP it is the
    // beginning of a long packet that never comes: the connection ends without an answer.
    let (_, said) =
        echo_client(&kubectl, "asker", "dnsPolicy: Default", "udp, \"10.96.0.10:53\", tcp, \"10.96.0.10:53\"");
    assert!(said.contains("udp 10.96.0.10:53: answered \"is"), "{said}");
    assert!(said.contains("tcp 10.96.0.10:53: answered \"\""), "{said}");
}

#[test]
fn queries_are_counted_in_the_nodes_metrics() {
    let cluster = Cluster::shared();
    let kubectl = cluster.kubectl();
    dig(cluster.dns(), "kubernetes.default.svc.cluster.local", "A", &["+tcp"]);
    let node = kubectl.run(&["get", "nodes", "--output=name"]);
    let metrics = kubectl.run(&["get", "--raw", &format!("/api/v1/nodes/{}/proxy/metrics", &node.trim()[5..])]);
    let line = "coredns_dns_responses_total{proto=\"tcp\",type=\"A\",rcode=\"NOERROR\"}";
    assert!(metrics.lines().any(|found| found.starts_with(line)), "{metrics}");
}

#[test]
fn a_node_of_its_own_answers_on_while_the_api_is_away() {
    let mut server = Server::start(&[]);
    let elsewhere = Elsewhere::start();
    let stub = format!("corp.example={}", elsewhere.address());
    let node = Node::start("dns-node", &server.invitation(), &["--dns-stub", &stub]);
    let dns = eventually_some("the node says where it answers DNS", || dns_address(&node.log()));
    server.kubectl().run(&["create", "namespace", NAMESPACE]);
    apply(&server.kubectl().within(NAMESPACE), dns);

    server.kill();
    for (name, kind, status, records) in SPECIFICATION {
        assert_eq!(dig(dns, &full(name), kind, &[]), expected(status, records), "{name} {kind}");
    }
    let ask_elsewhere = || dig(dns, "www.corp.example", "A", &[]).records;
    assert_eq!(ask_elsewhere(), [Elsewhere::SAYS], "others are asked, too");
    let asked = elsewhere.asked();
    assert_eq!((ask_elsewhere(), elsewhere.asked()), (vec![Elsewhere::SAYS.to_owned()], asked), "it is remembered");

    server.start_again(&[]);
    server.kubectl().within(NAMESPACE).run(&["delete", "service", "web"]);
    eventually("what has changed is known", || dig(dns, &full("web.ns"), "A", &[]).status == "NXDOMAIN");
}

fn dns_address(log: &str) -> Option<SocketAddr> {
    log.split("answering DNS at ").nth(1)?.split_whitespace().next()?.parse().ok()
}

#[test]
fn a_port_in_use_is_said_and_what_to_do() {
    let server = Server::start(&[]);
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listener = std::net::TcpListener::bind(taken).unwrap();
    let mut node = Node::start("dns-taken", &server.invitation(), &["--dns-listen", &taken.to_string()]);
    let said = node.last_words();
    assert!(said.contains(&format!("{taken} is in use")) && said.contains("--dns-listen"), "{said}");
    drop(listener);
}
