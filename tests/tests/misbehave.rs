//! Guests that do harm, beside one that serves: its answers stay correct, and the statuses say what happened.

use std::net::SocketAddr;

use carob_tests::{Cluster, Http, Kubectl, Load, eventually, manifests};
use serde_json::Value;

const MISBEHAVE_P3: &str = include_str!("../../samples/manifests/misbehave-p3.yaml");

/// How a container ended, as its status tells it.
struct End {
    phase: String,
    reason: String,
    code: i64,
}

fn run_to_end(kubectl: &Kubectl, name: &str, arguments: &[&str]) -> End {
    kubectl.apply(&manifests::misbehave(name, "Never", arguments));
    eventually(&format!("{name} has ended"), || {
        let phase = kubectl.field(&["pod", name], "{.status.phase}");
        phase == "Failed" || phase == "Succeeded"
    });
    let pod = kubectl.json(&["pod", name]);
    let terminated = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    End {
        phase: text(&pod["status"]["phase"]),
        reason: text(&terminated["reason"]),
        code: terminated["exitCode"].as_i64().expect("an ended container has an exit code"),
    }
}

/// The neighbour: a Service of the sample that serves.
fn neighbour(kubectl: &Kubectl) -> SocketAddr {
    kubectl.apply(&manifests::deployment("web", 2));
    kubectl.apply(&manifests::node_port("web"));
    kubectl.run(&["rollout", "status", "deployment/web", "--timeout=120s"]);
    let port = kubectl.field(&["service", "web"], "{.spec.ports[0].nodePort}");
    let address = Cluster::shared().node_port_address();
    let address = SocketAddr::new(address.into(), port.parse().expect("a node port is a number"));
    eventually("the neighbour answers", || Load::start(address, 1).finish().failures.is_empty());
    address
}

/// Does something while the neighbour is asked without a pause, and checks that it noticed nothing.
fn beside_a_neighbour(namespace: &str, harm: impl FnOnce(&Kubectl)) {
    let kubectl = Cluster::shared().namespace(namespace);
    let address = neighbour(&kubectl);
    let load = Load::start(address, 1);
    harm(&kubectl);
    let report = load.finish();
    assert!(report.failures.is_empty(), "{} failed: {:#?}", report.failures.len(), &report.failures[..1]);
    assert_eq!(report.bodies, ["Hello, world!\n"]);
    assert_eq!(
        kubectl.field(&["pods", "-l", "app=web"], "{.items[*].status.containerStatuses[0].restartCount}"),
        "0 0"
    );
}

#[test]
fn a_guest_that_eats_memory_is_killed() {
    beside_a_neighbour("eat-memory", |kubectl| {
        let end = run_to_end(kubectl, "eater", &["eat-memory"]);
        assert_eq!((end.phase.as_str(), end.reason.as_str(), end.code), ("Failed", "OOMKilled", 137));
        let row = kubectl.run(&["get", "pod", "eater", "--no-headers"]);
        assert!(row.contains("OOMKilled"), "{row}");
    });
}

#[test]
fn a_trap_a_panic_and_an_exit_code_are_errors() {
    beside_a_neighbour("errors", |kubectl| {
        let trap = run_to_end(kubectl, "trap", &["trap"]);
        assert_eq!((trap.phase.as_str(), trap.reason.as_str()), ("Failed", "Error"));
        assert_ne!(trap.code, 0);
        let panic = run_to_end(kubectl, "panic", &["panic"]);
        assert_eq!((panic.phase.as_str(), panic.reason.as_str()), ("Failed", "Error"));
        let log = kubectl.run(&["logs", "panic"]);
        assert!(log.contains("misbehave was asked to panic"), "{log}");
        let exit = run_to_end(kubectl, "exit", &["exit", "3"]);
        assert_eq!((exit.phase.as_str(), exit.reason.as_str(), exit.code), ("Failed", "Error", 3));
        let done = run_to_end(kubectl, "done", &["exit", "0"]);
        assert_eq!((done.phase.as_str(), done.reason.as_str(), done.code), ("Succeeded", "Completed", 0));
    });
}

#[test]
fn spinning_guests_stop_nobody() {
    beside_a_neighbour("spin", |kubectl| {
        let spinners = ["spin-1", "spin-2", "spin-3"];
        for name in spinners {
            kubectl.apply(&manifests::misbehave(name, "Never", &["spin"]));
        }
        for name in spinners {
            eventually("the spinner runs", || kubectl.field(&["pod", name], "{.status.phase}") == "Running");
            eventually("the spinner's log is read", || kubectl.run(&["logs", name]).contains("spinning"));
        }
        // The node still takes up new work beside them, and ends them when it is told to.
        let end = run_to_end(kubectl, "other", &["exit", "5"]);
        assert_eq!(end.code, 5);
        for name in spinners {
            assert_eq!(kubectl.field(&["pod", name], "{.status.containerStatuses[0].restartCount}"), "0");
            kubectl.run(&["delete", "pod", name, "--grace-period", "1"]);
        }
        assert!(!kubectl.run(&["get", "pods"]).contains("spin-"));
    });
}

#[test]
fn a_container_that_keeps_failing_waits_longer_and_longer() {
    beside_a_neighbour("crash-loop", |kubectl| {
        kubectl.apply(&manifests::misbehave("always", "Always", &["exit", "7"]));
        kubectl.apply(&manifests::misbehave("eater", "OnFailure", &["eat-memory"]));
        for (name, reason, code) in [("always", "Error", "7"), ("eater", "OOMKilled", "137")] {
            let status = "{.status.containerStatuses[0].state.waiting.reason}";
            eventually("it backs off", || kubectl.field(&["pod", name], status) == "CrashLoopBackOff");
            eventually("it was started again", || {
                kubectl.field(&["pod", name], "{.status.containerStatuses[0].restartCount}") != "0"
            });
            let last = "{.status.containerStatuses[0].lastState.terminated";
            assert_eq!(kubectl.field(&["pod", name], &format!("{last}.reason}}")), reason);
            assert_eq!(kubectl.field(&["pod", name], &format!("{last}.exitCode}}")), code);
            assert_eq!(kubectl.field(&["pod", name], "{.status.phase}"), "Running");
        }
        eventually("the row says so", || {
            kubectl.run(&["get", "pod", "always", "--no-headers"]).contains("CrashLoopBackOff")
        });
        eventually("an Event says so", || {
            kubectl.run(&["get", "events", "--field-selector", "involvedObject.name=always"]).contains("BackOff")
        });
    });
}

#[test]
fn a_request_that_does_harm_is_the_end_of_itself_alone() {
    beside_a_neighbour("misbehave-p3", |kubectl| {
        kubectl.apply(MISBEHAVE_P3);
        let (http, url) = (Http::default(), format!("http://{}:30088", Cluster::shared().node_port_address()));
        let answers = |when: &str| {
            eventually(&format!("it answers {when}"), || {
                http.get(&url).is_ok_and(|(status, text)| status.is_success() && text == "fine\n")
            });
        };
        answers("at first");
        for harm in ["trap", "panic", "eat-memory"] {
            let answer = http.get(&format!("{url}/{harm}"));
            assert!(!answer.as_ref().is_ok_and(|(status, _)| status.is_success()), "{harm}: {answer:?}");
            answers(&format!("after {harm}"));
        }
        let reason = kubectl.field(&["pod", "misbehave-p3"], "{..lastState.terminated.reason}");
        assert!(reason.is_empty() || reason == "OOMKilled", "{reason}");

        // A request that never ends gives way to the node's wish that its Pod does.
        let spinning = std::thread::spawn(move || Http::default().get(&format!("{url}/spin")));
        kubectl.run(&["delete", "pod", "misbehave-p3", "--grace-period", "1"]);
        let answer = spinning.join().expect("a client does not panic");
        assert!(!answer.as_ref().is_ok_and(|(status, _)| status.is_success()), "{answer:?}");
        kubectl.run(&["delete", "service", "misbehave-p3"]);
    });
}
