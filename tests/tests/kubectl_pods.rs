//! kubectl and Pods: what they print, how they end.

use carob_tests::{Cluster, Kubectl, eventually, manifests};

fn counted(namespace: &str, arguments: &[&str]) -> Kubectl {
    let kubectl = Cluster::shared().namespace(namespace);
    kubectl.apply(&manifests::counter("job", "Never", arguments));
    kubectl
}

fn finished(kubectl: &Kubectl, phase: &str) {
    kubectl.run(&["wait", "pod/job", &format!("--for=jsonpath={{.status.phase}}={phase}"), "--timeout=90s"]);
}

#[test]
fn logs_print_all_the_end_or_with_times() {
    let kubectl = counted("logs", &["--count", "5", "--period-ms", "1"]);
    finished(&kubectl, "Succeeded");
    assert_eq!(kubectl.run(&["logs", "job"]), "1\n2\n3\n4\n5\n");
    assert_eq!(kubectl.run(&["logs", "job", "--tail", "2"]), "4\n5\n");
    assert_eq!(kubectl.run(&["logs", "job", "--container", "counter", "--limit-bytes", "4"]), "1\n2\n");
    let stamped = kubectl.run(&["logs", "job", "--timestamps", "--tail", "1"]);
    let (time, text) = stamped.trim_end().split_once(' ').unwrap();
    assert!(time.starts_with("20") && time.contains('T') && text == "5", "{stamped}");
    assert_eq!(kubectl.run(&["logs", "job", "--since", "1h"]).lines().count(), 5);
    assert_eq!(kubectl.run(&["logs", "--selector", "app=job", "--prefix"]).lines().count(), 5);
    let other = kubectl.attempt(&["logs", "job", "--container", "nobody"]);
    assert!(other.code != 0 && other.stderr.contains("container nobody is not valid for pod job"), "{other:?}");
    let previous = kubectl.attempt(&["logs", "job", "--previous"]);
    assert!(previous.code != 0 && previous.stderr.contains("previous terminated container"), "{previous:?}");
}

#[test]
fn logs_follow_until_the_end() {
    let kubectl = counted("follow", &["--count", "20", "--period-ms", "100"]);
    eventually("the container has started", || kubectl.attempt(&["logs", "job"]).code == 0);
    let followed = kubectl.run(&["logs", "--follow", "job"]);
    let expected: String = (1..=20).map(|n| format!("{n}\n")).collect();
    assert_eq!(followed, expected);
}

#[test]
fn logs_of_the_run_before() {
    let kubectl = Cluster::shared().namespace("previous");
    kubectl.apply(&manifests::counter("job", "Always", &["--count", "2", "--period-ms", "1"]));
    eventually("it has been restarted", || {
        let restarts = kubectl.field(&["pod", "job"], "{.status.containerStatuses[0].restartCount}");
        restarts.parse::<u32>().is_ok_and(|count| count > 0)
    });
    assert_eq!(kubectl.run(&["logs", "job", "--previous"]), "1\n2\n");
}

#[test]
fn exit_codes_and_reasons_are_told() {
    let kubectl = counted("exit", &["--count", "0", "--exit", "3"]);
    finished(&kubectl, "Failed");
    let path = "{.status.containerStatuses[0].state.terminated.exitCode} {.status.containerStatuses[0].state.terminated.reason}";
    assert_eq!(kubectl.field(&["pod", "job"], path), "3 Error");
    assert!(kubectl.run(&["get", "pods"]).contains("Error"));
}

#[test]
fn a_missing_image_is_told_and_tried_again() {
    let kubectl = Cluster::shared().namespace("image");
    kubectl.apply(&manifests::server("web").replace("samples/hello-http:1", "samples/late:1"));
    let path = "{.status.containerStatuses[0].state.waiting.reason}";
    eventually("the reason is told", || {
        ["ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull"]
            .contains(&kubectl.field(&["pod", "web"], path).as_str())
    });
    Cluster::shared().load(&carob_tests::samples().join("hello-http.wasm"), "samples/late:1");
    kubectl.run(&["wait", "pod/web", "--for=condition=Ready", "--timeout=90s"]);
}

#[test]
fn delete_waits_for_the_grace_period_or_not() {
    let kubectl = Cluster::shared().namespace("grace");
    for name in ["a", "b", "c"] {
        kubectl.apply(&manifests::server(name));
    }
    kubectl.run(&["wait", "pods", "--all", "--for=condition=Ready", "--timeout=90s"]);
    kubectl.run(&["delete", "pod", "a", "--grace-period", "1", "--timeout=90s"]);
    kubectl.run(&["delete", "pod", "b", "--now", "--timeout=90s"]);
    let forced = kubectl.attempt(&["delete", "pod", "c", "--grace-period", "0", "--force", "--timeout=90s"]);
    assert!(forced.code == 0 && forced.stdout.contains("force deleted"), "{forced:?}");
    assert_eq!(kubectl.run(&["get", "pods", "--output", "name"]), "");
}

#[test]
fn a_pod_is_watched_from_pending_to_its_end() {
    let kubectl = Cluster::shared().namespace("watched");
    // Once it lists what is there, it misses nothing that comes.
    kubectl.apply(&manifests::server("first"));
    let mut watch = kubectl.follow(&["get", "pods", "--watch"]);
    watch.until("first");
    kubectl.apply(&manifests::counter("job", "Never", &["--count", "10", "--period-ms", "100"]));
    for phase in ["Pending", "Running", "Completed"] {
        while !watch.until(phase).starts_with("job") {}
    }
}

#[test]
fn a_pod_that_fits_nowhere_says_why() {
    let kubectl = Cluster::shared().namespace("unschedulable");
    let greedy = manifests::server("web").replace("ports:", "resources: {requests: {cpu: '100000'}}, ports:");
    kubectl.apply(&greedy);
    eventually("the scheduler says why", || kubectl.run(&["get", "events"]).contains("Insufficient cpu"));
    let condition = "{.status.conditions[?(@.type==\"PodScheduled\")].reason}";
    assert_eq!(kubectl.field(&["pod", "web"], condition), "Unschedulable");
}
