//! A Deployment behind a Service changes under constant load, and nobody notices.

use std::net::SocketAddr;

use carob_tests::{Cluster, Kubectl, Load, Report, eventually, manifests};

/// Pairs of clients that ask without a pause.
const PAIRS: usize = 4;

fn served(namespace: &str) -> (Kubectl, SocketAddr) {
    let cluster = Cluster::shared();
    let kubectl = cluster.namespace(namespace);
    kubectl.apply(&manifests::deployment("web", 3));
    kubectl.apply(&manifests::node_port("web"));
    roll_out(&kubectl);
    let port = kubectl.field(&["service", "web"], "{.spec.ports[0].nodePort}");
    let address = SocketAddr::new(cluster.node_port_address().into(), port.parse().expect("a node port is a number"));
    eventually("the Service answers", || {
        let report = Load::start(address, 1).finish();
        report.answered > 0 && report.failures.is_empty()
    });
    (kubectl, address)
}

fn roll_out(kubectl: &Kubectl) {
    kubectl.run(&["rollout", "status", "deployment/web", "--timeout=120s"]);
}

fn assert_all_answered(report: &Report) {
    assert!(report.failures.is_empty(), "{} failed: {:#?}", report.failures.len(), &report.failures[..1]);
    assert!(report.answered > 0, "nothing was asked");
}

#[test]
fn a_rolling_update_fails_no_request() {
    let (kubectl, address) = served("rolling");
    let load = Load::start(address, PAIRS);
    for round in ["one", "two", "three"] {
        kubectl.run(&["set", "env", "deployment/web", &format!("POD_NAME={round}")]);
        roll_out(&kubectl);
    }
    let report = load.finish();
    assert_all_answered(&report);
    for round in ["one", "two"] {
        assert!(report.bodies.iter().any(|body| body.contains(round)), "{round} was never asked: {:?}", report.bodies);
    }
    let after = Load::start(address, 1).finish();
    assert_eq!(after.bodies, ["Hello, world! This is three.\n"]);
}

#[test]
fn a_change_of_the_image_fails_no_request() {
    let (kubectl, address) = served("rolling-image");
    let load = Load::start(address, PAIRS);
    for image in ["samples/hello-http-p3:1", "samples/hello-http:1"] {
        kubectl.run(&["set", "image", "deployment/web", &format!("hello={image}")]);
        roll_out(&kubectl);
    }
    assert_all_answered(&load.finish());
}

#[test]
fn scaling_and_restarting_fail_no_request() {
    let (kubectl, address) = served("rolling-scale");
    let load = Load::start(address, PAIRS);
    for replicas in ["6", "1", "3"] {
        kubectl.run(&["scale", "deployment/web", "--replicas", replicas]);
        roll_out(&kubectl);
    }
    kubectl.run(&["rollout", "restart", "deployment/web"]);
    roll_out(&kubectl);
    assert_all_answered(&load.finish());
}
