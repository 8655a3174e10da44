//! kubectl and what the server says about itself.

use carob_tests::{Cluster, eventually, manifests};

#[test]
fn explain_reads_the_schemas() {
    let kubectl = Cluster::shared().kubectl();
    let pod = kubectl.run(&["explain", "pod"]);
    for words in ["KIND:       Pod", "VERSION:    v1", "Pod is a collection of containers", "spec\t<PodSpec>"] {
        assert!(pod.contains(words), "{words} is missing in:\n{pod}");
    }
    let image = kubectl.run(&["explain", "deployment.spec.template.spec.containers.image"]);
    assert!(image.contains("GROUP:      apps") && image.contains("FIELD: image <string>"), "{image}");
    let surge = kubectl.run(&["explain", "deployments.spec.strategy.rollingUpdate.maxSurge"]);
    assert!(surge.contains("FIELD: maxSurge <IntOrString>"), "{surge}");
    let all = kubectl.run(&["explain", "service", "--recursive"]);
    assert!(all.contains("nodePort\t<integer>"), "{all}");
    let unknown = kubectl.attempt(&["explain", "pod.spec.colour"]);
    assert!(unknown.code != 0 && unknown.stderr.contains("field \"colour\" does not exist"), "{unknown:?}");
    for resource in kubectl.run(&["api-resources", "--output", "name"]).lines() {
        let (plural, _) = resource.split_once('.').unwrap_or((resource, ""));
        let words = kubectl.run(&["explain", plural]);
        assert!(words.contains("FIELDS:"), "{resource}: {words}");
    }
}

#[test]
fn api_resources_and_versions_list_what_is_served() {
    let kubectl = Cluster::shared().kubectl();
    let wide = kubectl.run(&["api-resources", "--output", "wide"]);
    for (short, group, kind) in [
        ("po", "v1", "Pod"),
        ("cm", "v1", "ConfigMap"),
        ("deploy", "apps/v1", "Deployment"),
        ("rs", "apps/v1", "ReplicaSet"),
        ("ev", "v1", "Event"),
        ("ns", "v1", "Namespace"),
    ] {
        let line = wide.lines().find(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.get(1) == Some(&short) && words.contains(&group) && words.contains(&kind)
        });
        assert!(line.is_some_and(|line| line.contains("create,delete") && line.contains("watch")), "{kind}:\n{wide}");
    }
    let namespaced = kubectl.run(&["api-resources", "--namespaced=false", "--output", "name"]);
    assert_eq!(namespaced.lines().filter(|line| ["namespaces", "nodes"].contains(line)).count(), 2, "{namespaced}");
    let versions = kubectl.run(&["api-versions"]);
    for version in ["v1", "apps/v1", "coordination.k8s.io/v1", "discovery.k8s.io/v1", "events.k8s.io/v1"] {
        assert!(versions.lines().any(|line| line == version), "{versions}");
    }
    let version = kubectl.run(&["version"]);
    assert!(version.contains("Server Version: v1.3"), "{version}");
}

#[test]
fn events_tell_what_happened() {
    let kubectl = Cluster::shared().namespace("events");
    kubectl.apply(&manifests::server("web"));
    kubectl.run(&["wait", "pod/web", "--for=condition=Ready", "--timeout=90s"]);
    eventually("the start of the container is told", || {
        let events = kubectl.run(&["get", "events", "--field-selector", "involvedObject.name=web"]);
        ["Scheduled", "Started"].iter().all(|reason| events.contains(reason))
    });
    let table = kubectl.run(&["get", "events", "--sort-by", ".metadata.creationTimestamp"]);
    assert!(table.starts_with("LAST SEEN") && table.contains("pod/web"), "{table}");
    let about = kubectl.run(&["events", "--for", "pod/web"]);
    assert!(about.contains("Scheduled"), "{about}");
    let other = kubectl.run(&["get", "events", "--field-selector", "involvedObject.name=nobody", "--output", "name"]);
    assert_eq!(other, "");
}
