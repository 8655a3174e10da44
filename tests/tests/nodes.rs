//! Nodes on machines of a network that is cut, killed and set wrong: what a client sees of it, and that nothing is stuck
//! afterwards.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::process::Command;

use carob_tests::{Fleet, Kubectl, Load, Member, Node, Report, eventually, manifests};

/// Short, so that minutes become seconds; what is awaited is the same.
const GRACE: &[&str] = &["--node-monitor-grace-period", "10s", "--node-cidr-mask-size", "24"];
const REPLICAS: usize = 6;

/// A Deployment with Pods on every node, and the port of the nodes at which each answers for its own.
fn serve(fleet: &Fleet) -> u16 {
    let kubectl = fleet.kubectl();
    kubectl.apply(&manifests::evictable("web", REPLICAS as u32));
    kubectl.apply(&manifests::local_node_port("web"));
    roll_out(&kubectl);
    for Member { name, .. } in &fleet.nodes {
        assert!(!pods_on(&kubectl, name).is_empty(), "no Pod is on {name}");
    }
    kubectl.field(&["service", "web"], "{.spec.ports[0].nodePort}").parse().unwrap()
}

fn roll_out(kubectl: &Kubectl) {
    kubectl.run(&["rollout", "status", "deployment/web", "--timeout=90s"]);
}

/// The uids of the Pods that are ready on a node.
fn pods_on(kubectl: &Kubectl, node: &str) -> Vec<String> {
    let on = format!("--field-selector=spec.nodeName={node}");
    let pods = kubectl.json(&["pods", "--selector=app=web", &on]);
    let is_ready = |pod: &&serde_json::Value| {
        let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
        pod["metadata"]["deletionTimestamp"].is_null()
            && conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    };
    let ready = pods["items"].as_array().unwrap().iter().filter(is_ready);
    let mut uids: Vec<_> = ready.map(|pod| pod["metadata"]["uid"].as_str().unwrap().to_owned()).collect();
    uids.sort();
    uids
}

fn all_pods(fleet: &Fleet) -> Vec<Vec<String>> {
    fleet.nodes.iter().map(|member| pods_on(&fleet.kubectl(), &member.name)).collect()
}

/// Clients ask without a pause.
fn ask(fleet: &Fleet, address: SocketAddr) -> Load {
    eventually("somebody answers", || {
        let report = Load::start_on(&fleet.client, address, 1).finish();
        report.failures.is_empty()
    });
    Load::start_on(&fleet.client, address, 1)
}

fn assert_all_answered(report: &Report) {
    assert!(report.failures.is_empty(), "{} failed: {:#?}", report.failures.len(), &report.failures[..1]);
    assert!(report.answered > 0, "nothing was asked");
}

/// As many Pods as there should be, all ready, and none that is about to go for ever.
fn settles(fleet: &Fleet) {
    fleet.is_whole();
    let kubectl = fleet.kubectl();
    roll_out(&kubectl);
    eventually("no Pod is stuck", || {
        let pods = kubectl.json(&["pods", "--selector=app=web"]);
        let pods = pods["items"].as_array().unwrap();
        pods.len() == REPLICAS && pods.iter().all(|pod| pod["metadata"]["deletionTimestamp"].is_null())
    });
    eventually("all are ready", || all_pods(fleet).iter().map(Vec::len).sum::<usize>() == REPLICAS);
}

#[test]
fn a_cut_between_server_and_nodes_heals() {
    let fleet = Fleet::start(&["a", "b", "c"], GRACE);
    let port = serve(&fleet);
    let a = &fleet.nodes[0];
    one_is_cut_off(&fleet, a, port);
}

/// A node that hears nothing of the server goes on serving; its Pods are replaced, and go once it hears of that.
fn one_is_cut_off(fleet: &Fleet, cut: &Member, port: u16) {
    let (kubectl, others) = (fleet.kubectl(), &fleet.nodes[1..]);
    let load = ask(fleet, cut.at(port));
    fleet.network.cut(&fleet.host, &cut.machine);
    eventually("the node is lost", || fleet.is_ready(&cut.name) == "Unknown");
    eventually("its Pods are replaced", || {
        others.iter().map(|member| pods_on(&kubectl, &member.name).len()).sum::<usize>() == REPLICAS
    });
    assert_all_answered(&load.finish());
    for other in others {
        assert_all_answered(&ask(fleet, other.at(port)).finish());
    }
    fleet.network.heal(&fleet.host, &cut.machine);
    settles(fleet);
}

#[test]
fn a_killed_node_is_replaced_by_one_of_its_name() {
    let mut fleet = Fleet::start(&["a", "b", "c"], GRACE);
    let port = serve(&fleet);
    let kubectl = fleet.kubectl();
    let load = ask(&fleet, fleet.nodes[1].at(port));
    fleet.nodes[0].node.kill();
    eventually("its Pods run elsewhere", || {
        fleet.nodes[1..].iter().map(|member| pods_on(&kubectl, &member.name).len()).sum::<usize>() == REPLICAS
    });
    assert_all_answered(&load.finish());
    let range = kubectl.field(&["node", "a"], "{.spec.podCIDR}");

    // A new machine, that knows nothing of the old one.
    let machine = fleet.network.machine();
    let again = Member::join(&fleet.server, machine, "a");
    let address = || kubectl.field(&["node", "a"], "{.status.addresses[?(@.type=='InternalIP')].address}");
    eventually("the Node is where it is now", || address() == again.machine.address().to_string());
    assert_eq!(kubectl.field(&["node", "a"], "{.spec.podCIDR}"), range);
    fleet.nodes[0] = again;
    settles(&fleet);
    kubectl.apply(&manifests::on_node("returned", "a"));
    kubectl.run(&["wait", "--for=condition=Ready", "--timeout=90s", "pod/returned"]);
    assert!(!kubectl.run(&["exec", "returned", "--", "ls", "/"]).is_empty());
}

#[test]
fn the_control_plane_is_killed_and_the_nodes_go_on() {
    let mut fleet = Fleet::start(&["a", "b"], GRACE);
    let port = serve(&fleet);
    let (kubectl, before) = (fleet.kubectl(), all_pods(&fleet));
    let load = ask(&fleet, fleet.nodes[0].at(port));
    fleet.server.kill();
    assert_ne!(kubectl.attempt(&["get", "nodes", "--request-timeout=2s"]).code, 0);
    // Longer than a node may be silent: it is the server's clock that counts, and it stands still.
    let asked = load.answered();
    eventually("clients have asked for longer than a node may be silent", || {
        load.running_for().as_secs() > 12 && load.answered() > asked
    });
    fleet.server.start_again(GRACE);
    settles(&fleet);
    assert_eq!(all_pods(&fleet), before, "Pods were replaced");
    assert_all_answered(&load.finish());
    kubectl.run(&["scale", "deployment/web", "--replicas=2"]);
    roll_out(&kubectl);
}

/// Clocks of nodes may be wrong: heartbeats are counted by the server's.
#[test]
fn a_node_whose_clock_is_off_is_a_node_or_says_why_not() {
    let fleet = Fleet::start(&[], GRACE);
    let kubectl = fleet.kubectl();
    for (name, off) in [("ahead", "+2h"), ("behind", "-3m")] {
        let member = Member::join(&fleet.server, fleet.network.machine().with_clock(off), name);
        let date = member.machine.command("date").output().unwrap();
        assert_ne!(date.stdout, Command::new("date").output().unwrap().stdout, "the clock is right");
        kubectl.apply(&manifests::on_node(name, name));
        kubectl.run(&["wait", "--for=condition=Ready", "--timeout=90s", &format!("pod/{name}")]);
        kubectl.run(&["logs", name]);
        assert!(!kubectl.run(&["exec", name, "--", "ls", "/"]).is_empty());
        let beat = || kubectl.field(&["lease", name, "--namespace=kube-node-lease"], "{.spec.renewTime}");
        let first = beat();
        eventually("its heart beats on", || beat() != first);
        assert_eq!(fleet.is_ready(name), "True");
    }
    // The cluster's certificates are not good yet, as it sees them.
    let machine = fleet.network.machine().with_clock("-2d");
    let said = Node::start_on(&machine, "yesterday", &fleet.server.invitation(), &[]).last_words();
    assert!(said.contains("not trusted") && said.contains("not valid yet"), "{said}");
}

/// Whoever is refused is told why, and so is whoever reads the server's log.
#[test]
fn strangers_and_claims_are_refused_and_told_of() {
    let fleet = Fleet::start(&[], &["--cluster-signing-duration", "20s"]);
    let logged = |words: &str| eventually(words, || fleet.server.log().contains(words));
    let mut invitation = fleet.server.invitation();
    let token = invitation.iter().position(|word| word == "--token").unwrap() + 1;
    "aaaaaa.0123456789abcdef".clone_into(&mut invitation[token]);
    let said = Node::start_on(&fleet.network.machine(), "stranger", &invitation, &[]).last_words();
    assert!(said.contains("the server refuses the token: it is wrong or over"), "{said}");
    logged("the token of a client is refused");

    let member = Member::join(&fleet.server, fleet.network.machine(), "claims");
    fleet.kubectl().apply(&manifests::on_node("claims", "claims"));
    fleet.kubectl().run(&["wait", "--for=condition=Ready", "--timeout=90s", "pod/claims"]);
    let status = r#"{"status": {"podIP": "10.244.200.1", "podIPs": [{"ip": "10.244.200.1"}]}}"#;
    let node = member.node.kubectl(&fleet.server.url());
    let claim = node.attempt(&["patch", "pod", "claims", "--subresource=status", "--type=merge", "--patch", status]);
    assert!(claim.code != 0 && claim.stderr.contains("10.244.200.1 is none"), "{claim:?}");
    logged("a node claims an address for its Pod that is not its own");

    // By its own clock its certificate is good for three minutes more.
    let mut late = Member::join(&fleet.server, fleet.network.machine().with_clock("-3m"), "late");
    late.node.kill();
    let certificate = late.node.kubectl(&fleet.server.url());
    eventually("its certificate is over", || certificate.attempt(&["get", "node", "late"]).code != 0);
    late.node.try_again("late", &["--server".to_owned(), fleet.server.url()]);
    logged("the certificate of a client is refused");
    let said = late.node.last_words();
    assert!(
        said.contains("refuses the certificate of node late: CertificateExpired; see that this machine's clock"),
        "{said}"
    );
    let invitation = fleet.server.invitation();
    late.node.start_again("late", &invitation);
}
