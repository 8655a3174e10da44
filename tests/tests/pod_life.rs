//! The life of a Pod as its users see it: what starts when, what probes and hooks do, how it is looked into and how it ends.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use carob_tests::{Cluster, Http, Kubectl, eventually, eventually_some};
use http::StatusCode;
use serde_json::{Value, json};

const COUNTER: &str = "samples/counter:1";
const HELLO: &str = "samples/hello-http:1";

/// A container that counts once in an hour, which is to run until it is ended.
fn lasting(name: &str) -> Value {
    json!({"name": name, "image": COUNTER, "args": ["--count", "1000", "--period-ms", "3600000"]})
}

/// A container that prints `1` and ends.
fn brief(name: &str) -> Value {
    json!({"name": name, "image": COUNTER, "args": ["--count", "1", "--period-ms", "1"]})
}

fn server(name: &str) -> Value {
    json!({"name": name, "image": HELLO, "ports": [{"name": "http", "containerPort": 8080}]})
}

fn with(mut container: Value, field: &str, value: Value) -> Value {
    container[field] = value;
    container
}

fn create(kubectl: &Kubectl, name: &str, mut spec: Value) {
    spec["terminationGracePeriodSeconds"] = json!(spec["terminationGracePeriodSeconds"].as_i64().unwrap_or(1));
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec,
    });
    kubectl.run_with(&["create", "--filename", "-"], &pod.to_string());
}

fn pod_when(kubectl: &Kubectl, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    eventually_some(&format!("{name}: {what}"), || Some(kubectl.json(&["pod", name])).filter(|pod| holds(pod)))
}

fn phase(kubectl: &Kubectl, name: &str, phase: &str) -> Value {
    pod_when(kubectl, name, phase, |pod| pod["status"]["phase"] == phase)
}

fn event(kubectl: &Kubectl, pod: &str, reason: &str, words: &str) {
    let selector = format!("involvedObject.name={pod},reason={reason}");
    eventually(&format!("an Event {reason} of {pod} that says {words:?}"), || {
        let events = kubectl.json(&["events", "--field-selector", &selector]);
        let mut messages = events["items"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap());
        messages.any(|message| message.contains(words))
    });
}

#[test]
fn init_containers_run_in_order_and_their_logs_stay() {
    let kubectl = Cluster::shared().namespace("init-order");
    create(
        &kubectl,
        "p",
        json!({"initContainers": [brief("first"), brief("second")], "containers": [lasting("main")]}),
    );
    let pod = phase(&kubectl, "p", "Running");
    let ended = |n: usize| pod["status"]["initContainerStatuses"][n]["state"]["terminated"].clone();
    assert_eq!((&ended(0)["reason"], &ended(1)["reason"]), (&json!("Completed"), &json!("Completed")));
    assert!(ended(0)["finishedAt"].as_str().unwrap() <= ended(1)["startedAt"].as_str().unwrap());
    let started = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"].as_str().unwrap().to_owned();
    assert!(ended(1)["finishedAt"].as_str().unwrap() <= started.as_str());
    for init in ["first", "second"] {
        assert_eq!(kubectl.run(&["logs", "p", "--container", init]), "1\n");
    }
}

#[test]
fn a_sidecar_runs_beside_a_job_and_does_not_keep_it_from_completing() {
    let kubectl = Cluster::shared().namespace("sidecar");
    let probe = json!({"httpGet": {"port": "http"}, "periodSeconds": 1});
    let sidecar = with(with(server("side"), "restartPolicy", json!("Always")), "startupProbe", probe);
    let job = json!({"name": "job", "image": COUNTER, "args": ["--count", "5", "--period-ms", "1000"]});
    create(&kubectl, "p", json!({"restartPolicy": "Never", "initContainers": [sidecar], "containers": [job]}));
    let pod = phase(&kubectl, "p", "Running");
    assert_eq!(pod["status"]["initContainerStatuses"][0]["started"], true);
    assert!(kubectl.run(&["get", "pod", "p"]).contains("2/2"));
    let pod = phase(&kubectl, "p", "Succeeded");
    assert!(pod["status"]["initContainerStatuses"][0]["state"]["terminated"].is_object(), "{pod:#}");
    assert_eq!(kubectl.run(&["logs", "p", "--container", "job", "--tail", "1"]), "5\n");
}

#[test]
fn liveness_probes_restart_by_http_tcp_and_exec() {
    let kubectl = Cluster::shared().namespace("liveness");
    let failing = json!(["counter", "--count", "1", "--period-ms", "1", "--exit", "3"]);
    for (name, probe, words) in [
        ("http", json!({"httpGet": {"port": 81, "path": "/live"}}), "connection refused"),
        ("tcp", json!({"tcpSocket": {"port": 81}}), "connection refused"),
        ("exec", json!({"exec": {"command": failing}}), "Liveness probe failed: 1"),
    ] {
        let mut probe = probe;
        probe["periodSeconds"] = json!(1);
        probe["failureThreshold"] = json!(2);
        probe["timeoutSeconds"] = json!(20);
        create(&kubectl, name, json!({"containers": [with(lasting("main"), "livenessProbe", probe)]}));
        let restarted = |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"].as_i64() > Some(0);
        let pod = pod_when(&kubectl, name, "restarted", restarted);
        assert!(pod["status"]["containerStatuses"][0]["lastState"]["terminated"].is_object());
        event(&kubectl, name, "Unhealthy", words);
        event(&kubectl, name, "Killing", "Container main failed liveness probe, will be restarted");
        kubectl.run(&["delete", "pod", name, "--now"]);
    }
}

#[test]
fn probes_that_pass_make_a_pod_ready() {
    let kubectl = Cluster::shared().namespace("passing");
    let passing = json!(["counter", "--count", "0"]);
    for (name, container, probe) in [
        (
            "http",
            server("main"),
            json!({"httpGet": {"port": "http", "httpHeaders": [{"name": "Host", "value": "a.b"}]}}),
        ),
        ("tcp", server("main"), json!({"tcpSocket": {"port": 8080}})),
        ("exec", lasting("main"), json!({"exec": {"command": passing}, "timeoutSeconds": 20})),
    ] {
        create(&kubectl, name, json!({"containers": [with(container, "readinessProbe", probe)]}));
        kubectl.run(&["wait", &format!("pod/{name}"), "--for=condition=Ready", "--timeout=90s"]);
    }
}

#[test]
fn readiness_gates_keep_a_pod_out_of_its_service() {
    let cluster = Cluster::shared();
    let kubectl = cluster.namespace("gates");
    let spec = json!({"readinessGates": [{"conditionType": "carob.dev/open"}], "containers": [server("hello")]});
    create(&kubectl, "web", spec);
    kubectl.run(&["expose", "pod", "web", "--type", "NodePort", "--port", "80", "--target-port", "http"]);
    let port = kubectl.field(&["service", "web"], "{.spec.ports[0].nodePort}");
    let url = format!("http://{}:{port}/", cluster.node_port_address());
    let http = Http::default();
    let answers = |status: StatusCode| {
        eventually(&format!("{status} from {url}"), || http.get(&url).is_ok_and(|(answered, _)| answered == status));
    };
    kubectl.run(&["wait", "pod/web", "--for=condition=ContainersReady", "--timeout=90s"]);
    answers(StatusCode::SERVICE_UNAVAILABLE);
    let ready = r#"{.status.conditions[?(@.type=="Ready")].message}"#;
    let message = "corresponding condition of pod readiness gate \"carob.dev/open\" does not exist.";
    assert_eq!(kubectl.field(&["pod", "web"], ready), message);

    let condition = |status: &str| {
        let patch = json!({"status": {"conditions": [{"type": "carob.dev/open", "status": status}]}}).to_string();
        kubectl.run(&["patch", "pod", "web", "--subresource", "status", "--patch", &patch]);
    };
    condition("True");
    kubectl.run(&["wait", "pod/web", "--for=condition=Ready", "--timeout=90s"]);
    answers(StatusCode::OK);
    condition("False");
    answers(StatusCode::SERVICE_UNAVAILABLE);
}

#[test]
fn hooks_run_after_the_start_and_before_the_end() {
    let kubectl = Cluster::shared().namespace("hooks");
    let failing = json!({"exec": {"command": ["counter", "--count", "0", "--exit", "1"]}});
    let passing = json!({"httpGet": {"port": "http", "scheme": "HTTPS"}});
    let lifecycle = json!({"postStart": failing});
    create(&kubectl, "bad", json!({"containers": [with(lasting("main"), "lifecycle", lifecycle)]}));
    event(&kubectl, "bad", "FailedPostStartHook", "PostStartHook failed");
    let hook_error = |pod: &Value| {
        let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
        waiting["reason"] == "PostStartHookError"
            && waiting["message"].as_str().unwrap().starts_with("Exec lifecycle hook (")
    };
    pod_when(&kubectl, "bad", "its hook's error", hook_error);
    let killed = |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"].as_i64() > Some(0);
    pod_when(&kubectl, "bad", "started again", killed);

    let lifecycle = json!({"postStart": passing, "preStop": {"sleep": {"seconds": 5}}});
    let spec = json!({
        "terminationGracePeriodSeconds": 60, "containers": [with(server("main"), "lifecycle", lifecycle)],
    });
    create(&kubectl, "good", spec);
    kubectl.run(&["wait", "pod/good", "--for=condition=Ready", "--timeout=90s"]);
    event(&kubectl, "good", "LifecycleHTTPFallback", ":8080 got HTTP response, retry with HTTP succeeded");
    let begun = std::time::Instant::now();
    kubectl.run(&["delete", "pod", "good"]);
    assert!(begun.elapsed().as_secs() >= 5, "the hook was not waited for: {:?}", begun.elapsed());
}

#[test]
fn a_pod_past_its_active_deadline_fails() {
    let kubectl = Cluster::shared().namespace("deadline");
    create(&kubectl, "p", json!({"activeDeadlineSeconds": 3, "containers": [lasting("main")]}));
    let pod = phase(&kubectl, "p", "Failed");
    assert_eq!(pod["status"]["reason"], "DeadlineExceeded");
    event(&kubectl, "p", "DeadlineExceeded", "Pod was active on the node longer than the specified deadline");
}

#[test]
fn kubectl_debug_adds_a_container_that_runs_once() {
    let kubectl = Cluster::shared().namespace("debug");
    create(&kubectl, "p", json!({"containers": [server("web")]}));
    kubectl.run(&["wait", "pod/p", "--for=condition=Ready", "--timeout=90s"]);
    kubectl.run(&[
        "debug",
        "p",
        "--image",
        COUNTER,
        "--container",
        "look",
        "--target",
        "web",
        "--image-pull-policy",
        "IfNotPresent",
        "--",
        "counter",
        "--count",
        "3",
        "--period-ms",
        "1",
        "--exit",
        "4",
    ]);
    let ended = |pod: &Value| pod["status"]["ephemeralContainerStatuses"][0]["state"]["terminated"].is_object();
    let pod = pod_when(&kubectl, "p", "the debugger has ended", ended);
    assert_eq!(pod["status"]["ephemeralContainerStatuses"][0]["state"]["terminated"]["exitCode"], 4);
    assert_eq!(pod["spec"]["ephemeralContainers"][0]["targetContainerName"], "web");
    assert_eq!(kubectl.run(&["logs", "p", "--container", "look"]), "1\n2\n3\n");
    assert!(kubectl.run(&["describe", "pod", "p"]).contains("Ephemeral Containers:"));

    let again = kubectl.attempt(&["debug", "p", "--image", "samples/other:1", "--container", "look", "--", "x"]);
    assert!(again.code != 0, "{again:?}");
    let pod = kubectl.json(&["pod", "p"]);
    assert_eq!(pod["status"]["phase"], "Running");
    assert_eq!(pod["status"]["ephemeralContainerStatuses"][0]["restartCount"], 0);
}

#[test]
fn the_end_of_the_log_becomes_the_message() {
    let kubectl = Cluster::shared().namespace("message");
    let failing = json!({
        "name": "main", "image": COUNTER, "args": ["--count", "2", "--period-ms", "1", "--exit", "9"],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    create(&kubectl, "p", json!({"restartPolicy": "Never", "containers": [failing]}));
    let pod = phase(&kubectl, "p", "Failed");
    assert_eq!(pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"], "1\n2\n");
}

#[test]
fn a_resized_pod_keeps_what_it_was_given_when_the_node_is_killed() {
    let mut cluster = Cluster::start();
    let kubectl = cluster.kubectl();
    let of = |cpu: &str, memory: &str| {
        let amounts = json!({"cpu": cpu, "memory": memory});
        json!({"requests": amounts, "limits": amounts})
    };
    create(&kubectl, "p", json!({"containers": [with(lasting("main"), "resources", of("100m", "64Mi"))]}));
    phase(&kubectl, "p", "Running");
    let resize = |resources: &Value| {
        let patch = json!({"spec": {"containers": [{"name": "main", "resources": resources}]}}).to_string();
        kubectl.run(&["patch", "pod", "p", "--subresource", "resize", "--patch", &patch]);
    };
    let has = |pod: &Value, resources: &Value| pod["status"]["containerStatuses"][0]["resources"] == *resources;
    let pending = |pod: &Value| pod["status"]["conditions"].to_string().contains("\"Infeasible\"");
    let given = of("200m", "96Mi");
    resize(&given);
    pod_when(&kubectl, "p", "resized", |pod| has(pod, &given));
    resize(&of("5000", "96Mi"));
    pod_when(&kubectl, "p", "wishes for too much", |pod| pending(pod) && has(pod, &given));

    cluster.kill_and_restart();
    let kubectl = cluster.kubectl();
    let again = |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"] == 1 && pending(pod);
    let pod = pod_when(&kubectl, "p", "runs again", |pod| again(pod) && pod["status"]["phase"] == "Running");
    let status = &pod["status"]["containerStatuses"][0];
    assert_eq!((&status["resources"], &status["allocatedResources"]), (&given, &given["requests"]));
    assert_eq!(pod["status"]["qosClass"], "Guaranteed");
}
