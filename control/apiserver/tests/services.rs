//! Cluster IPs and node ports.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::net::Ipv4Addr;

use carob_apiserver::Config;
use carob_store::Store;
use serde_json::{Value, json};
use support::{SERVICES, Server};

fn service(name: &str, spec: Value) -> Value {
    let mut spec = spec;
    if spec.get("ports").is_none() {
        spec["ports"] = json!([{ "port": 80 }]);
    }
    json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": name }, "spec": spec })
}

async fn allocations(server: &Server) -> usize {
    server.store.range(b"/allocations/", b"/allocations0", 0, None).await.unwrap().items.len()
}

#[tokio::test(start_paused = true)]
async fn the_kubernetes_service_has_the_first_address() {
    let server = Server::start().await;
    let service = server.get(&format!("{SERVICES}/kubernetes")).await.expect(200).body;
    assert_eq!(service["spec"]["clusterIP"], "10.96.0.1");
}

#[tokio::test(start_paused = true)]
async fn addresses_and_ports_are_allocated_and_given_back() {
    let server = Server::start().await;
    let before = allocations(&server).await;
    let made = server.post(SERVICES, &service("a", json!({ "type": "NodePort" }))).await.expect(201).body;
    let ip: Ipv4Addr = made["spec"]["clusterIP"].as_str().unwrap().parse().unwrap();
    assert_eq!(ip.octets()[..2], [10, 96]);
    assert_eq!(made["spec"]["clusterIPs"], json!([ip.to_string()]));
    let port = made["spec"]["ports"][0]["nodePort"].as_u64().unwrap();
    assert!((30000..=32767).contains(&port));
    assert_eq!(allocations(&server).await, before + 2);

    let path = format!("{SERVICES}/a");
    let inner = json!({ "spec": { "type": "ClusterIP" } });
    let inner = server.patch(&path, "merge-patch", &inner).await.expect(200).body;
    assert_eq!(inner["spec"]["ports"][0].get("nodePort"), None);
    assert_eq!(allocations(&server).await, before + 1);
    let outer = server.put(&path, &service("a", json!({ "type": "NodePort" }))).await.expect(200).body;
    assert_eq!(outer["spec"]["clusterIP"], ip.to_string(), "kept, though the update does not say it");
    assert_eq!(allocations(&server).await, before + 2);
    server.delete(&path).await.expect(200);
    assert_eq!(allocations(&server).await, before);
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_is_honoured_or_refused() {
    let server = Server::start().await;
    let asked = json!({ "type": "NodePort", "clusterIP": "10.96.0.7", "ports": [{ "port": 80, "nodePort": 30080 }] });
    let made = server.post(SERVICES, &service("a", asked)).await.expect(201).body;
    assert_eq!(
        (&made["spec"]["clusterIP"], &made["spec"]["ports"][0]["nodePort"]),
        (&json!("10.96.0.7"), &json!(30080))
    );
    let port = |number: i64| json!({ "type": "NodePort", "ports": [{ "port": 80, "nodePort": number }] });
    let cases = [
        (
            json!({ "clusterIP": "10.96.0.7" }),
            "spec.clusterIPs[0]: Invalid value: \"10.96.0.7\": failed to allocate IP 10.96.0.7: provided IP is already allocated",
        ),
        (json!({ "clusterIP": "10.1.0.7" }), "The range of valid IPs is 10.96.0.0/16"),
        (port(30080), "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated"),
        (port(80), "provided port is not in the valid range. The range of valid ports is 30000-32767"),
    ];
    for (spec, message) in cases {
        let refused = server.post(SERVICES, &service("b", spec)).await.expect(422);
        assert!(refused.message().contains(message), "{}", refused.message());
    }
    let headless = server.post(SERVICES, &service("c", json!({ "clusterIP": "None" }))).await.expect(201).body;
    assert_eq!(headless["spec"]["clusterIP"], "None");
    let external = json!({ "type": "ExternalName", "externalName": "example.com" });
    let external = server.post(SERVICES, &service("d", external)).await.expect(201).body;
    assert_eq!(external["spec"].get("clusterIP"), None);
}

#[tokio::test(start_paused = true)]
async fn a_full_range_is_used_to_its_end() {
    let config = Config { node_ports: 30000..=30004, ..Config::default() };
    let server = Server::with(config).await;
    let mut ports = Vec::new();
    for n in 0..5 {
        let made = server.post(SERVICES, &service(&format!("s{n}"), json!({ "type": "NodePort" }))).await.expect(201);
        ports.push(made.body["spec"]["ports"][0]["nodePort"].as_u64().unwrap());
    }
    ports.sort_unstable();
    assert_eq!(ports, [30000, 30001, 30002, 30003, 30004]);
    let refused = server.post(SERVICES, &service("more", json!({ "type": "NodePort" }))).await.expect(500);
    assert!(refused.message().contains("range is full"));
}

#[tokio::test(start_paused = true)]
async fn concurrent_services_never_share() {
    let config = Config { node_ports: 30000..=30019, ..Config::default() };
    let server = std::sync::Arc::new(Server::with(config).await);
    let all = (0..20).map(|n| {
        let server = server.clone();
        tokio::spawn(async move {
            let made = server.post(SERVICES, &service(&format!("s{n}"), json!({ "type": "NodePort" }))).await;
            made.code.is_success().then(|| made.body["spec"]["ports"][0]["nodePort"].as_u64().unwrap())
        })
    });
    let mut ports: Vec<u64> = futures::future::join_all(all).await.into_iter().filter_map(Result::unwrap).collect();
    let many = ports.len();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), many);
    assert!(many >= 15, "{many}");
}
