//! The recipes of NetworkPolicy that users know, each with the flows that it lets pass and those that it does not.

use std::net::SocketAddr;
use std::sync::Arc;

use carob_net::{
    Denied, Direction, Network, NetworkError, Networks, Protocol, Reason, TcpListener, TcpStream, UdpSocket, Workload,
};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde::de::DeserializeOwned;
use serde_json::{Value, from_value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::scene::{address, connect, meet, receive, send};
use crate::follow::Watched;
use crate::mesh::route::NamedBy;
use crate::mesh::{Mesh, MeshConfig, Source};
use crate::policy::{Change, Policies};
use crate::table::ObjectName;

/// The cluster of all tests: namespace, name, address. The name is the label `app`, the namespace its label `team`.
const PODS: [(&str, &str, &str); 5] = [
    ("shop", "web", "10.244.0.2"),
    ("shop", "db", "10.244.0.3"),
    ("ops", "mon", "10.244.0.4"),
    ("ops", "job", "10.244.0.5"),
    ("dns", "dns", "10.244.0.6"),
];
/// What every Pod listens at, by TCP and by UDP.
const PORTS: [u16; 5] = [53, 80, 8080, 8081, 8082];

struct Cluster {
    mesh: Mesh,
    policies: Policies,
    pods: Vec<Open>,
}

/// A Pod that listens at all ports.
struct Open {
    network: Arc<dyn Network>,
    listeners: Vec<Box<dyn TcpListener>>,
    sockets: Vec<Box<dyn UdpSocket>>,
}

fn told<K: Watched<Change = Change> + DeserializeOwned>(object: &Value) -> Vec<Change> {
    vec![from_value::<K>(object.clone()).unwrap().present()]
}

impl Cluster {
    fn new() -> Cluster {
        let policies = Policies::default();
        let mesh = Mesh::with_rules(MeshConfig::default(), vec![policies.rule()]);
        for namespace in ["shop", "ops", "dns"] {
            policies
                .take_in(told::<Namespace>(&json!({"metadata": {"name": namespace, "labels": {"team": namespace}}})));
        }
        let pods = PODS.iter().map(|(namespace, name, ip)| {
            policies.take_in(told::<Pod>(&pod(namespace, name, ip)));
            let (namespace, name) = ((*namespace).into(), (*name).into());
            let workload = Workload {
                namespace,
                name,
                addresses: vec![ip.parse().unwrap()],
                hosts: vec![],
                names: Default::default(),
            };
            let network = mesh.join(workload).unwrap();
            let at = |port: &u16| address(&format!("0.0.0.0:{port}"));
            let listeners = PORTS.iter().map(|port| network.bind_tcp(at(port)).unwrap().listen(64).unwrap()).collect();
            let sockets = PORTS.iter().map(|port| network.bind_udp(at(port)).unwrap()).collect();
            Open { network, listeners, sockets }
        });
        let pods = pods.collect();
        policies.complete();
        Cluster { mesh, policies, pods }
    }

    fn with(policies: &Value) -> Cluster {
        let cluster = Cluster::new();
        for (index, spec) in policies.as_array().unwrap().iter().enumerate() {
            cluster.policy(&format!("p{index}"), spec);
        }
        cluster
    }

    /// A policy of the namespace `shop`.
    fn policy(&self, name: &str, spec: &Value) {
        let object = json!({"metadata": {"namespace": "shop", "name": name}, "spec": spec});
        self.policies.take_in(told::<NetworkPolicy>(&object));
    }

    /// Whether a flow `from to protocol:port` passes. An address that is no Pod's is outside.
    async fn passes(&self, flow: &str) -> bool {
        let [from, to, rest] = flow.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{flow}") };
        let (protocol, port) = rest.split_once(':').unwrap();
        let protocol = if protocol == "tcp" { Protocol::Tcp } else { Protocol::Udp };
        let to = SocketAddr::new(ip(to).parse().unwrap(), port.parse().unwrap());
        match (PODS.iter().position(|pod| pod.1 == from), protocol) {
            (None, _) => self.enters(from, protocol, to),
            (Some(pod), _) if ip(from) == to.ip().to_string() => self.stays(pod, to).await,
            (Some(pod), Protocol::Tcp) if self.is_inside(to) => self.connects(pod, to).await,
            (Some(pod), Protocol::Udp) if self.is_inside(to) => self.is_answered(pod, to).await,
            (Some(pod), protocol) => self.leaves(pod, protocol, to),
        }
    }

    fn is_inside(&self, to: SocketAddr) -> bool {
        self.mesh.shared().pod_at(to.ip()).is_some()
    }

    fn enters(&self, from: &str, protocol: Protocol, to: SocketAddr) -> bool {
        let from = Source::Outside(SocketAddr::new(from.parse().unwrap(), 4000));
        is_let_pass(self.mesh.shared().route(&from, protocol, to, NamedBy::Service).map(drop))
    }

    fn leaves(&self, pod: usize, protocol: Protocol, to: SocketAddr) -> bool {
        let pod = self.mesh.shared().pod_at(PODS[pod].2.parse().unwrap()).unwrap();
        is_let_pass(self.mesh.shared().route(&Source::Pod(pod), protocol, to, NamedBy::Guest).map(drop))
    }

    async fn connects(&self, pod: usize, to: SocketAddr) -> bool {
        is_let_pass(connect(&self.pods[pod].network, &to.to_string()).await.map(drop))
    }

    /// To itself, by its loopback and by its own address.
    async fn stays(&self, pod: usize, to: SocketAddr) -> bool {
        let own = self.connects(pod, to).await;
        assert_eq!(self.connects(pod, SocketAddr::new([127, 0, 0, 1].into(), to.port())).await, own);
        own
    }

    /// The answer is no flow of its own, whatever policies say of the way back.
    async fn is_answered(&self, pod: usize, to: SocketAddr) -> bool {
        let client = self.pods[pod].network.bind_udp(address("0.0.0.0:0")).unwrap();
        if !is_let_pass(send(&*client, "?", &to.to_string()).await) {
            return false;
        }
        let server = PODS.iter().position(|pod| pod.2 == to.ip().to_string()).unwrap();
        let server = &self.pods[server].sockets[PORTS.iter().position(|port| *port == to.port()).unwrap()];
        let (_, asker) = receive(&**server).await;
        send(&**server, "!", &asker.to_string()).await.expect("an answer passes");
        receive(&*client).await.0 == "!"
    }

    async fn agrees(&self, pass: &str, denied: &str) {
        for (flows, expected) in [(pass, true), (denied, false)] {
            for flow in flows.lines().map(str::trim).filter(|flow| !flow.is_empty()) {
                assert_eq!(self.passes(flow).await, expected, "{flow}");
            }
        }
    }
}

fn is_let_pass(outcome: Result<(), NetworkError>) -> bool {
    match outcome {
        Ok(()) => true,
        Err(NetworkError::AccessDenied(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

fn ip(name: &str) -> &str {
    PODS.iter().find(|pod| pod.1 == name).map_or(name, |pod| pod.2)
}

fn pod(namespace: &str, name: &str, ip: &str) -> Value {
    json!({
        "metadata": {"namespace": namespace, "name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "ports": [
            {"name": "http", "containerPort": 8080}, {"name": "lookup", "containerPort": 53, "protocol": "UDP"},
        ]}]},
        "status": {"phase": "Running", "podIPs": [{"ip": ip}]},
    })
}

fn app(name: &str) -> Value {
    json!({"matchLabels": {"app": name}})
}

fn team(name: &str) -> Value {
    json!({"matchLabels": {"team": name}})
}

/// What a recipe does: its name, its policies in the namespace `shop`, the flows that pass and those that are denied.
type Recipe = (&'static str, Value, &'static str, &'static str);

fn recipes_of_peers() -> Vec<Recipe> {
    vec![
        ("nothing", json!([]), "mon web tcp:80\n web 192.0.2.1 udp:53\n 192.0.2.1 db tcp:80\n web mon udp:53", ""),
        (
            "deny all ingress",
            json!([{"podSelector": {}, "policyTypes": ["Ingress"]}]),
            "web mon tcp:80\n web 192.0.2.1 tcp:443\n web web tcp:80\n 127.0.0.1 web tcp:80\n web mon udp:53",
            "mon web tcp:80\n db web tcp:80\n 192.0.2.1 web tcp:80\n mon db udp:53",
        ),
        (
            "deny all egress",
            json!([{"podSelector": {}, "policyTypes": ["Egress"]}]),
            "mon web tcp:80\n mon web udp:53\n web web tcp:80\n 192.0.2.1 web tcp:80",
            "web mon tcp:80\n web db tcp:80\n web 192.0.2.1 tcp:443\n web dns udp:53",
        ),
        (
            "deny all, both ways",
            json!([{"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}]),
            "mon job tcp:80\n db db tcp:80",
            "mon web tcp:80\n web mon tcp:80\n web db tcp:80",
        ),
        (
            "deny ingress to one",
            json!([{"podSelector": app("db"), "policyTypes": ["Ingress"]}]),
            "mon web tcp:80\n db web tcp:80",
            "web db tcp:80",
        ),
        (
            "allow all over a denial",
            json!([
                {"podSelector": {}, "policyTypes": ["Ingress"]},
                {"podSelector": app("web"), "ingress": [{}], "policyTypes": ["Ingress"]},
            ]),
            "mon web tcp:80\n 192.0.2.1 web udp:53",
            "mon db tcp:80",
        ),
        (
            "allow from pods of the same namespace",
            json!([{"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}]}]),
            "web db tcp:80\n db web udp:53",
            "mon web tcp:80\n 192.0.2.1 web tcp:80",
        ),
        (
            "allow from one app",
            json!([{"podSelector": app("db"), "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": app("web")}]}]}]),
            "web db tcp:80",
            "mon db tcp:80\n job db udp:53",
        ),
        (
            "allow from a namespace",
            json!([{"podSelector": {}, "policyTypes": ["Ingress"],
                "ingress": [{"from": [{"namespaceSelector": team("ops")}]}]}]),
            "mon web tcp:80\n job web tcp:80",
            "dns web tcp:80\n db web tcp:80",
        ),
        (
            "allow from all namespaces",
            json!([{"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"namespaceSelector": {}}]}]}]),
            "mon web tcp:80\n db web tcp:80",
            "192.0.2.1 web tcp:80",
        ),
        (
            "allow from pods in a namespace",
            json!([{"podSelector": {}, "policyTypes": ["Ingress"],
                "ingress": [{"from": [{"namespaceSelector": team("ops"), "podSelector": app("mon")}]}]}]),
            "mon web tcp:80",
            "job web tcp:80\n db web tcp:80",
        ),
        (
            "allow from a namespace or from pods",
            json!([{"podSelector": {}, "policyTypes": ["Ingress"],
                "ingress": [{"from": [{"namespaceSelector": team("ops")}, {"podSelector": app("db")}]}]}]),
            "mon web tcp:80\n db web tcp:80",
            "dns web tcp:80\n web db tcp:80",
        ),
        (
            "allow by expression",
            json!([{"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{
                "namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["dns"]}]},
            }]}]}]),
            "mon web tcp:80\n db web tcp:80",
            "dns web tcp:80",
        ),
        (
            "egress to one app, from the side of ingress as well",
            json!([
                {"podSelector": app("web"), "policyTypes": ["Egress"], "egress": [{"to": [{"podSelector": app("db")}]}]},
                {"podSelector": app("db"), "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": app("web")}]}]},
            ]),
            "web db tcp:80\n mon web tcp:80",
            "web mon tcp:80\n mon db tcp:80\n web 192.0.2.1 tcp:80",
        ),
        (
            "one side allows, the other does not",
            json!([
                {"podSelector": app("web"), "policyTypes": ["Egress"], "egress": [{}]},
                {"podSelector": app("db"), "policyTypes": ["Ingress"]},
            ]),
            "web mon tcp:80",
            "web db tcp:80",
        ),
    ]
}

fn recipes_of_ports_and_blocks() -> Vec<Recipe> {
    let http = json!([{"port": 80}]);
    vec![
        (
            "egress only DNS",
            json!([{"podSelector": {}, "policyTypes": ["Egress"],
                "egress": [{"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}]}]),
            "web dns udp:53\n web dns tcp:53\n web 192.0.2.53 udp:53\n mon web tcp:80",
            "web dns tcp:80\n web dns udp:80\n web 192.0.2.1 tcp:443",
        ),
        (
            "egress to one namespace's DNS",
            json!([{"podSelector": {}, "policyTypes": ["Egress"], "egress": [{
                "to": [{"namespaceSelector": team("dns"), "podSelector": app("dns")}],
                "ports": [{"port": 53, "protocol": "UDP"}],
            }]}]),
            "web dns udp:53",
            "web mon udp:53\n web dns tcp:53",
        ),
        (
            "a port by number, by TCP where nothing is said",
            json!([{"podSelector": app("web"), "policyTypes": ["Ingress"], "ingress": [{"ports": http}]}]),
            "mon web tcp:80\n 192.0.2.1 web tcp:80",
            "mon web tcp:8080\n mon web udp:80",
        ),
        (
            "every port of a protocol",
            json!([{"podSelector": app("web"), "policyTypes": ["Ingress"], "ingress": [{"ports": [{"protocol": "UDP"}]}]}]),
            "mon web udp:80\n mon web udp:53",
            "mon web tcp:80",
        ),
        (
            "named ports of who is reached",
            json!([
                {"podSelector": app("web"), "policyTypes": ["Ingress"],
                    "ingress": [{"ports": [{"port": "http"}, {"port": "lookup", "protocol": "UDP"}]}]},
                {"podSelector": app("db"), "policyTypes": ["Egress"], "egress": [{"ports": [{"port": "http"}]}]},
            ]),
            "mon web tcp:8080\n mon web udp:53\n db mon tcp:8080",
            "mon web tcp:80\n mon web tcp:53\n mon web udp:8080\n db mon tcp:80\n db 192.0.2.1 tcp:8080",
        ),
        (
            "endPort",
            json!([{"podSelector": app("web"), "policyTypes": ["Ingress"],
                "ingress": [{"ports": [{"port": 8080, "endPort": 8081}]}]}]),
            "mon web tcp:8080\n mon web tcp:8081",
            "mon web tcp:80\n mon web tcp:8082",
        ),
        (
            "SCTP opens nothing",
            json!([{"podSelector": app("web"), "policyTypes": ["Ingress"], "ingress": [{"ports": [{"protocol": "SCTP"}]}]}]),
            "",
            "mon web tcp:80\n mon web udp:80",
        ),
        (
            "ipBlock with except, ingress",
            json!([{"podSelector": app("web"), "policyTypes": ["Ingress"],
                "ingress": [{"from": [{"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.128/25"]}}]}]}]),
            "192.0.2.1 web tcp:80\n 192.0.2.127 web tcp:80",
            "192.0.2.128 web tcp:80\n 198.51.100.1 web tcp:80\n mon web tcp:80",
        ),
        (
            "ipBlock with except, egress, also to Pods",
            json!([{"podSelector": app("web"), "policyTypes": ["Egress"], "egress": [{
                "to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.244.0.4/32", "198.51.100.0/24"]}}],
            }]}]),
            "web 192.0.2.1 tcp:443\n web job tcp:80",
            "web 198.51.100.7 tcp:443\n web mon tcp:80",
        ),
        (
            "the world outside only",
            json!([{"podSelector": app("web"), "policyTypes": ["Egress"], "egress": [{
                "to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}],
                "ports": [{"port": 443}],
            }]}]),
            "web 192.0.2.1 tcp:443",
            "web 192.0.2.1 tcp:80\n web db tcp:53",
        ),
    ]
}

#[tokio::test]
async fn recipes_do_what_they_are_known_for() {
    for (name, policies, pass, denied) in recipes_of_peers().into_iter().chain(recipes_of_ports_and_blocks()) {
        eprintln!("{name}");
        Cluster::with(&policies).agrees(pass, denied).await;
    }
}

#[tokio::test]
async fn a_change_takes_effect_on_the_next_flow_and_a_connection_lives_on() {
    let cluster = Cluster::with(&json!([]));
    let (near, far) = meet(&cluster.pods[2].network, &*cluster.pods[0].listeners[1], "10.244.0.2:80").await;
    cluster.policy("deny", &json!({"podSelector": app("web"), "policyTypes": ["Ingress"]}));
    cluster.agrees("db mon tcp:80", "mon web tcp:80\n db web tcp:80").await;
    is_alive(near, far).await;

    let from_db = json!([{"from": [{"podSelector": app("db")}]}]);
    cluster.policy("allow", &json!({"podSelector": app("web"), "policyTypes": ["Ingress"], "ingress": from_db}));
    cluster.agrees("db web tcp:80", "mon web tcp:80").await;
    let mut other = pod("shop", "db", "10.244.0.3");
    other["metadata"]["labels"]["app"] = "other".into();
    cluster.policies.take_in(told::<Pod>(&other));
    cluster.agrees("", "db web tcp:80\n mon web tcp:80").await;

    let gone = |name: &str| <NetworkPolicy as Watched>::gone(name_of("shop", name));
    cluster.policies.take_in(vec![gone("deny"), gone("allow")]);
    cluster.agrees("db web tcp:80\n mon web tcp:80", "").await;
}

async fn is_alive(mut near: TcpStream, mut far: TcpStream) {
    near.write_all(b"still here").await.unwrap();
    let mut text = [0; 10];
    far.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"still here");
}

fn name_of(namespace: &str, name: &str) -> ObjectName {
    ObjectName { namespace: namespace.into(), name: name.into() }
}

#[tokio::test]
async fn namespaces_are_peers_by_the_labels_that_they_have_now() {
    let from_ops = json!([{"from": [{"namespaceSelector": team("ops")}]}]);
    let cluster = Cluster::with(&json!([{"podSelector": {}, "policyTypes": ["Ingress"], "ingress": from_ops}]));
    cluster.agrees("mon web tcp:80", "dns web tcp:80").await;
    let labelled = |name: &str, team: &str| json!({"metadata": {"name": name, "labels": {"team": team}}});
    cluster.policies.take_in(told::<Namespace>(&labelled("ops", "other")));
    cluster.policies.take_in(told::<Namespace>(&labelled("dns", "ops")));
    cluster.agrees("dns web tcp:80", "mon web tcp:80").await;
    cluster.policies.take_in(vec![<Namespace as Watched>::gone(name_of("", "dns"))]);
    cluster.agrees("", "dns web tcp:80").await;
}

#[tokio::test]
async fn a_pod_of_another_node_is_known_by_its_address_for_as_long_as_it_has_it() {
    let from_mon = json!([{"from": [{"namespaceSelector": team("ops"), "podSelector": app("far")}]}]);
    let cluster = Cluster::with(&json!([{"podSelector": {}, "policyTypes": ["Ingress"], "ingress": from_mon}]));
    cluster.agrees("", "10.244.7.7 web tcp:80").await;
    let mut far = pod("ops", "far", "10.244.7.7");
    cluster.policies.take_in(told::<Pod>(&far));
    cluster.agrees("10.244.7.7 web tcp:80", "10.244.7.8 web tcp:80").await;
    // Its address becomes another's before it is known to have ended.
    cluster.policies.take_in(told::<Pod>(&pod("ops", "near", "10.244.7.7")));
    cluster.agrees("", "10.244.7.7 web tcp:80").await;
    far["status"]["phase"] = "Succeeded".into();
    cluster.policies.take_in(told::<Pod>(&far));
    cluster.policies.take_in(told::<Pod>(&pod("ops", "far", "10.244.7.9")));
    cluster.agrees("10.244.7.9 web tcp:80", "10.244.7.7 web tcp:80").await;
}

#[tokio::test]
async fn who_is_not_known_yet_passes_only_where_nothing_could_forbid_it() {
    let cluster = Cluster::with(&json!([{"podSelector": app("nobody"), "policyTypes": ["Egress"]}]));
    cluster.policies.take_in(vec![<Pod as Watched>::gone(name_of("shop", "web"))]);
    cluster.policies.take_in(vec![<Pod as Watched>::gone(name_of("ops", "mon"))]);
    cluster.agrees("job web tcp:80\n mon job tcp:80\n web web tcp:80", "web job tcp:80").await;
    let unlisted = Policies::default();
    let mesh = Mesh::with_rules(MeshConfig::default(), vec![unlisted.rule()]);
    let (one, two) = (super::scene::pod(&mesh, 2), super::scene::pod(&mesh, 3));
    let _listener = super::scene::listen(&one, "0.0.0.0:80");
    assert!(matches!(connect(&two, "10.244.0.2:80").await, Err(NetworkError::AccessDenied(_))));
    unlisted.complete();
    assert!(connect(&two, "10.244.0.2:80").await.is_ok());
}

#[tokio::test]
async fn what_is_denied_is_counted_and_says_by_whom() {
    let cluster = Cluster::with(&json!([{"podSelector": {}, "policyTypes": ["Ingress"]}]));
    let error = connect(&cluster.pods[2].network, "10.244.0.2:80").await.err();
    let why = "no NetworkPolicy lets it into shop/web, which is isolated by: p0";
    assert_eq!(error, Some(NetworkError::AccessDenied(why.into())));
    let counted = |denied: &Denied| {
        (denied.protocol, denied.direction, denied.reason) == (Protocol::Tcp, Direction::Ingress, Reason::Policy)
    };
    assert_eq!(cluster.mesh.denied().into_iter().find(counted).unwrap().flows, 1);
}
