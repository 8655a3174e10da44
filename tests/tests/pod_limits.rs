//! What containers use is held to what they may, is told, and can be changed while they run.

use carob_tests::{Cluster, Kubectl, eventually, eventually_some, manifests};
use serde_json::Value;

/// A Pod of the sample `misbehave` with these resources, in JSON.
fn pod(name: &str, arguments: &[&str], resources: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  restartPolicy: Never
  containers:
    - name: misbehave
      image: samples/misbehave:1
      args: {arguments:?}
      resources: {resources}
"#
    )
}

fn running(kubectl: &Kubectl, name: &str) {
    eventually(&format!("{name} runs"), || kubectl.field(&["pod", name], "{.status.phase}") == "Running");
}

/// The words of each line but the head.
fn rows(text: &str) -> Vec<Vec<&str>> {
    text.lines().skip(1).map(|line| line.split_whitespace().collect()).collect()
}

/// What a command prints once it succeeds and says something.
fn once_told(kubectl: &Kubectl, arguments: &[&str]) -> String {
    eventually_some(&format!("kubectl {}", arguments.join(" ")), || {
        let outcome = kubectl.attempt(arguments);
        (outcome.code == 0 && outcome.stdout.lines().count() > 1).then_some(outcome.stdout)
    })
}

fn millis(cell: &str) -> u64 {
    cell.strip_suffix('m').expect("thousandths of a core").parse().expect("a number")
}

#[test]
fn top_shows_what_pods_containers_and_nodes_use() {
    let kubectl = Cluster::shared().namespace("top");
    kubectl.apply(&pod("spinner", &["spin"], "{limits: {cpu: 200m, memory: 32Mi}}"));
    kubectl.apply(&manifests::deployment("web", 1));
    running(&kubectl, "spinner");
    // A moment's burst is in the first window; a later one has none.
    eventually("the spinner is seen at work, and held back", || {
        let outcome = kubectl.attempt(&["top", "pod", "spinner", "--no-headers"]);
        let row: Vec<&str> = outcome.stdout.split_whitespace().collect();
        matches!(row[..], ["spinner", cpu, memory] if (1..=210).contains(&millis(cpu)) && memory.ends_with("Mi"))
    });
    let by_container = once_told(&kubectl, &["top", "pod", "--containers", "--selector", "app=spinner"]);
    assert_eq!(rows(&by_container)[0][..2], ["spinner", "misbehave"], "{by_container}");
    let all = eventually_some("all Pods are told of", || {
        let told = once_told(&kubectl, &["top", "pod"]);
        (told.lines().count() == 3).then_some(told)
    });
    assert!(all.contains("web-"), "{all}");
    let nodes = once_told(&kubectl, &["top", "node"]);
    assert!(rows(&nodes)[0][2].ends_with('%') && rows(&nodes)[0][4].ends_with('%'), "{nodes}");
}

/// The container of a Pod in its node's `/stats/summary`.
fn in_summary(kubectl: &Kubectl, pod: &str) -> Option<Value> {
    let node = kubectl.field(&["pod", pod], "{.spec.nodeName}");
    let raw = kubectl.run(&["get", "--raw", &format!("/api/v1/nodes/{node}/proxy/stats/summary")]);
    let summary: Value = serde_json::from_str(&raw).expect("it is JSON");
    // By uid: other tests of this file have Pods of the same name on the same node.
    let uid = kubectl.field(&["pod", pod], "{.metadata.uid}");
    let of_pod = summary["pods"].as_array()?.iter().find(|one| one["podRef"]["uid"] == *uid)?.clone();
    Some(of_pod["containers"][0].clone()).filter(|container| container["cpu"]["usageNanoCores"].is_u64())
}

#[test]
fn a_throttled_container_never_uses_more_than_its_limit() {
    let kubectl = Cluster::shared().namespace("throttled");
    kubectl.apply(&pod("spinner", &["spin"], "{limits: {cpu: 100m, memory: 32Mi}}"));
    running(&kubectl, "spinner");
    let first = eventually_some("the node has looked twice", || in_summary(&kubectl, "spinner"));
    let used = |container: &Value| container["cpu"]["usageCoreNanoSeconds"].as_u64().expect("a number of nanoseconds");
    let at = |container: &Value| container["cpu"]["time"].as_str().expect("a time").to_owned();
    let later = eventually_some("the node has looked again", || {
        in_summary(&kubectl, "spinner").filter(|later| at(later) != at(&first))
    });
    // Metered time over the window that the node itself names: a loaded machine only makes it less.
    let window = later["cpu"]["windowSeconds"].as_f64().expect("a window");
    let allowed = window * 0.1 * 1.05 * 1e9;
    assert!(used(&later) > used(&first), "{later}");
    assert!(later["cpu"]["usageNanoCores"].as_f64().expect("a rate") * window <= allowed + 2e6, "{later}");
    assert_eq!(later["userDefinedMetrics"][0]["name"], "http_requests");
    let node = kubectl.field(&["pod", "spinner"], "{.spec.nodeName}");
    let metrics = kubectl.run(&["get", "--raw", &format!("/api/v1/nodes/{node}/proxy/metrics/resource")]);
    let line = r#"container_cpu_usage_seconds_total{container="misbehave",namespace="throttled",pod="spinner"}"#;
    assert!(metrics.lines().any(|found| found.starts_with(line)), "{metrics}");
}

#[test]
fn metrics_are_objects_like_others() {
    let kubectl = Cluster::shared().namespace("metrics");
    kubectl.apply(&pod("spinner", &["spin"], "{limits: {cpu: 100m}}"));
    once_told(&kubectl, &["top", "pod"]);
    let raw = kubectl.run(&["get", "--raw", "/apis/metrics.k8s.io/v1beta1/namespaces/metrics/pods/spinner"]);
    let metrics: Value = serde_json::from_str(&raw).expect("it is JSON");
    assert_eq!(
        (metrics["kind"].as_str(), metrics["metadata"]["labels"]["app"].as_str()),
        (Some("PodMetrics"), Some("spinner"))
    );
    assert_eq!(metrics["containers"][0]["name"], "misbehave");
    let table = kubectl.run(&["get", "pods.metrics.k8s.io"]);
    assert_eq!(
        table.lines().next().map(|head| head.split_whitespace().collect()),
        Some(vec!["NAME", "CPU", "MEMORY", "WINDOW"])
    );
    let missing = kubectl.attempt(&["get", "pods.metrics.k8s.io", "nobody"]);
    assert!(missing.stderr.contains(r#"pods.metrics.k8s.io "nobody" not found"#), "{}", missing.stderr);
    assert!(kubectl.run(&["api-resources", "--api-group", "metrics.k8s.io"]).contains("PodMetrics"));
}

fn resize(kubectl: &Kubectl, name: &str, resources: &str) -> carob_tests::Outcome {
    let patch = format!(r#"{{"spec": {{"containers": [{{"name": "misbehave", "resources": {resources}}}]}}}}"#);
    kubectl.attempt(&["patch", "pod", name, "--subresource=resize", "--patch", &patch])
}

#[test]
fn a_pod_is_resized_while_it_runs() {
    let kubectl = Cluster::shared().namespace("resize");
    kubectl.apply(&pod("spinner", &["spin"], "{requests: {cpu: 20m}, limits: {cpu: 50m, memory: 32Mi}}"));
    running(&kubectl, "spinner");
    let begun = kubectl.field(&["pod", "spinner"], "{.status.containerStatuses[0].containerID}");
    let outcome =
        resize(&kubectl, "spinner", r#"{"requests": {"cpu": "30m"}, "limits": {"cpu": "400m", "memory": "64Mi"}}"#);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let status = |path: &str| kubectl.field(&["pod", "spinner"], &format!("{{.status.containerStatuses[0].{path}}}"));
    eventually("the status says so", || status("resources.limits.cpu") == "400m");
    assert_eq!((status("resources.limits.memory"), status("allocatedResources.cpu")), ("64Mi".into(), "30m".into()));
    assert_eq!((status("containerID"), status("restartCount")), (begun, "0".into()), "it went on");
    // More than before the resize: it has taken effect.
    eventually("it uses more than it could before", || {
        let outcome = kubectl.attempt(&["top", "pod", "spinner", "--no-headers"]);
        let row: Vec<&str> = outcome.stdout.split_whitespace().collect();
        matches!(row[..], ["spinner", cpu, _] if millis(cpu) > 60)
    });
}

#[test]
fn a_resize_that_cannot_be_is_refused_or_waits() {
    let kubectl = Cluster::shared().namespace("resize-not");
    kubectl.apply(&pod("spinner", &["spin"], "{limits: {cpu: 50m, memory: 32Mi}}"));
    running(&kubectl, "spinner");
    let class = resize(&kubectl, "spinner", r#"{"requests": {"cpu": "10m"}}"#);
    assert!(class.stderr.contains("Pod QOS Class may not change as a result of resizing"), "{class:?}");
    let patch = r#"{"spec": {"containers": [{"name": "misbehave", "resources": {"limits": {"cpu": "60m"}}}]}}"#;
    let main = kubectl.attempt(&["patch", "pod", "spinner", "--patch", patch]);
    assert!(main.stderr.contains("pod updates may not change fields other than"), "{main:?}");

    let huge = r#"{"requests": {"cpu": "9000"}, "limits": {"cpu": "9000"}}"#;
    assert_eq!(resize(&kubectl, "spinner", huge).code, 0);
    let condition = |path: &str| {
        let pending = r#"{.status.conditions[?(@.type=="PodResizePending")]"#;
        kubectl.field(&["pod", "spinner"], &format!("{pending}.{path}}}"))
    };
    eventually("it is found to be too much", || condition("reason") == "Infeasible");
    assert!(condition("message").contains("Node didn't have enough capacity: cpu, requested: 9000000"));
    assert_eq!(resize(&kubectl, "spinner", r#"{"requests": {"cpu": "60m"}, "limits": {"cpu": "60m"}}"#).code, 0);
    eventually("the condition goes with the wish", || condition("status").is_empty());

    // Less than it holds already: a guest of its kind begins with more than one page.
    let little = r#"{"requests": {"memory": "64Ki"}, "limits": {"memory": "64Ki"}}"#;
    assert_eq!(resize(&kubectl, "spinner", little).code, 0);
    let in_progress = r#"{.status.conditions[?(@.type=="PodResizeInProgress")].message}"#;
    eventually("it waits for less use", || {
        kubectl.field(&["pod", "spinner"], in_progress).contains("below the current usage")
    });
    assert_eq!(kubectl.field(&["pod", "spinner"], "{.status.containerStatuses[0].resources.limits.memory}"), "32Mi");
    assert_eq!(kubectl.field(&["pod", "spinner"], "{.status.phase}"), "Running");
}

#[test]
fn the_limit_that_kills_is_the_resized_one() {
    let kubectl = Cluster::shared().namespace("resize-oom");
    // So slow that it is resized long before it has eaten anything.
    kubectl.apply(&pod("eater", &["eat-memory"], "{limits: {cpu: 1m, memory: 24Mi}}"));
    running(&kubectl, "eater");
    let wider = r#"{"requests": {"cpu": "500m", "memory": "48Mi"}, "limits": {"cpu": "500m", "memory": "48Mi"}}"#;
    assert_eq!(resize(&kubectl, "eater", wider).code, 0);
    eventually("it has eaten all", || kubectl.field(&["pod", "eater"], "{.status.phase}") == "Failed");
    let terminated = "{.status.containerStatuses[0].state.terminated";
    assert_eq!(kubectl.field(&["pod", "eater"], &format!("{terminated}.reason}}")), "OOMKilled");
    assert!(kubectl.field(&["pod", "eater"], &format!("{terminated}.message}}")).contains("50331648"));
    assert!(kubectl.run(&["logs", "eater"]).contains("ate 32 MiB"));
}
