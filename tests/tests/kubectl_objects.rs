//! kubectl and objects: what is written, what is changed, what is found again.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use carob_tests::{Cluster, eventually, manifests};

#[test]
fn apply_creates_changes_and_leaves_alone() {
    let kubectl = Cluster::shared().namespace("apply");
    assert!(kubectl.apply(&manifests::config_map("a", "key", "1")).contains("configmap/a created"));
    assert!(kubectl.apply(&manifests::config_map("a", "key", "1")).contains("configmap/a unchanged"));
    assert!(kubectl.apply(&manifests::config_map("a", "other", "2")).contains("configmap/a configured"));
    let data = &kubectl.json(&["configmap", "a"])["data"];
    assert_eq!(*data, serde_json::json!({"other": "2"}), "what the manifest no longer has is gone");
}

#[test]
fn apply_merges_lists_by_their_keys() {
    let kubectl = Cluster::shared().namespace("apply-lists");
    let manifest = manifests::deployment("web", 0);
    kubectl.apply(&manifest);
    let sidecar =
        r#"{"spec": {"template": {"spec": {"containers": [{"name": "sidecar", "image": "samples/counter:1"}]}}}}"#;
    kubectl.run(&["patch", "deployment", "web", "--patch", sidecar]);
    kubectl.apply(&manifest.replace("containerPort: 8080", "containerPort: 9090"));
    let names = kubectl.field(&["deployment", "web"], "{.spec.template.spec.containers[*].name}");
    let ports = kubectl.field(&["deployment", "web"], "{.spec.template.spec.containers[*].ports[*].containerPort}");
    let mut names: Vec<&str> = names.split(' ').collect();
    names.sort_unstable();
    assert_eq!((names, ports.as_str()), (vec!["hello", "sidecar"], "9090"));
}

#[test]
fn apply_says_which_field_is_unknown_or_wrong() {
    let kubectl = Cluster::shared().namespace("validation");
    let unknown = manifests::server("a").replace("containers:", "colour: red\n  containers:");
    let outcome = kubectl.attempt_with(&["apply", "--filename", "-"], &unknown);
    assert!(outcome.code != 0 && outcome.stderr.contains("unknown field \"spec.colour\""), "{outcome:?}");
    let outcome = kubectl.attempt_with(&["apply", "--validate=warn", "--dry-run=server", "--filename", "-"], &unknown);
    assert!(outcome.code == 0 && outcome.stderr.contains("Warning: unknown field \"spec.colour\""), "{outcome:?}");
    let wrong = manifests::server("b").replace("containerPort: 8080", "containerPort: many");
    let outcome = kubectl.attempt_with(&["apply", "--filename", "-"], &wrong);
    assert!(outcome.code != 0 && outcome.stderr.contains("cannot unmarshal string"), "{outcome:?}");
    let invalid = manifests::server("c").replace("name: hello", "name: Hello_World");
    let outcome = kubectl.attempt_with(&["apply", "--filename", "-"], &invalid);
    assert!(outcome.code != 0 && outcome.stderr.contains("spec.containers[0].name: Invalid value"), "{outcome:?}");
    assert_eq!(kubectl.run(&["get", "pods", "--output", "name"]), "");
}

#[test]
fn diff_shows_what_apply_would_change() {
    let kubectl = Cluster::shared().namespace("diff");
    kubectl.apply(&manifests::config_map("a", "key", "old"));
    let arguments = ["diff", "--filename", "-"];
    let same = kubectl.attempt_with(&arguments, &manifests::config_map("a", "key", "old"));
    assert_eq!((same.code, same.stdout.as_str()), (0, ""));
    let other = kubectl.attempt_with(&arguments, &manifests::config_map("a", "key", "new"));
    assert_eq!(other.code, 1);
    assert!(other.stdout.contains("-  key: old") && other.stdout.contains("+  key: new"), "{}", other.stdout);
    assert_eq!(kubectl.field(&["configmap", "a"], "{.data.key}"), "old");
}

#[test]
fn create_creates_once() {
    let kubectl = Cluster::shared().namespace("create");
    kubectl.run(&["create", "configmap", "a", "--from-literal", "key=value"]);
    let again = kubectl.attempt(&["create", "configmap", "a"]);
    assert!(again.code != 0 && again.stderr.contains("already exists"), "{again:?}");
    kubectl.run(&["create", "secret", "generic", "s", "--from-literal", "key=value"]);
    assert_eq!(kubectl.field(&["secret", "s"], "{.data.key}"), "dmFsdWU=");
    kubectl.run(&["create", "deployment", "web", "--image", "samples/hello-http:1", "--replicas", "0"]);
    kubectl.run(&["create", "service", "clusterip", "web", "--tcp", "80:8080"]);
    assert!(kubectl.field(&["service", "web"], "{.spec.clusterIP}").starts_with("10.96."));
    kubectl.run(&["create", "serviceaccount", "robot"]);
    let generated = "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: some-}\n";
    assert!(kubectl.run_with(&["create", "--filename", "-"], generated).starts_with("configmap/some-"));
}

#[test]
fn get_prints_every_format_and_selects() {
    let kubectl = Cluster::shared().namespace("get");
    for name in ["a", "b"] {
        kubectl.apply(&manifests::config_map(name, "key", name));
    }
    kubectl.run(&["label", "configmap", "a", "tier=front"]);
    assert_eq!(kubectl.run(&["get", "configmaps", "a", "b", "--output", "name"]), "configmap/a\nconfigmap/b\n");
    assert_eq!(kubectl.json(&["configmap", "a"])["data"]["key"], "a");
    assert!(kubectl.run(&["get", "configmap", "a", "--output", "yaml"]).contains("\n  key: a\n"));
    assert_eq!(kubectl.field(&["configmap", "b"], "{.data.key}"), "b");
    let selected = ["get", "configmaps", "--output", "name", "--selector"];
    assert_eq!(kubectl.run(&[&selected[..], &["tier=front"]].concat()), "configmap/a\n");
    assert_eq!(kubectl.run(&[&selected[..], &["tier in (back)"]].concat()), "");
    let by_field = ["get", "configmaps", "--output", "name", "--field-selector", "metadata.name=b"];
    assert_eq!(kubectl.run(&by_field), "configmap/b\n");
    let everywhere = kubectl.run(&["get", "configmaps", "--all-namespaces", "--selector", "tier=front"]);
    assert!(everywhere.contains("NAMESPACE") && everywhere.contains("get "), "{everywhere}");
    let table = kubectl.run(&["get", "configmap", "a"]);
    assert_eq!(table.lines().next().unwrap().split_whitespace().collect::<Vec<_>>(), ["NAME", "DATA", "AGE"]);
    let labels = kubectl.run(&["get", "configmap", "a", "--show-labels", "--label-columns", "tier"]);
    assert!(labels.contains("tier=front") && labels.contains("TIER"), "{labels}");
    let missing = kubectl.attempt(&["get", "configmap", "c"]);
    assert!(missing.stderr.contains("configmaps \"c\" not found"), "{missing:?}");
}

#[test]
fn get_wide_names_node_and_address() {
    let kubectl = Cluster::shared().namespace("get-wide");
    kubectl.apply(&manifests::server("web"));
    kubectl.run(&["wait", "pod/web", "--for=condition=Ready", "--timeout=90s"]);
    let wide = kubectl.run(&["get", "pods", "--output", "wide"]);
    let address = kubectl.field(&["pod", "web"], "{.status.podIP}");
    let node = kubectl.field(&["pod", "web"], "{.spec.nodeName}");
    assert!(wide.contains("NOMINATED NODE") && wide.contains(&address) && wide.contains(&node), "{wide}");
    let on_node = format!("spec.nodeName={node},status.phase=Running");
    assert_eq!(kubectl.run(&["get", "pods", "--field-selector", &on_node, "--output", "name"]), "pod/web\n");
    let nodes = kubectl.run(&["get", "nodes", "--output", "wide"]);
    assert!(nodes.contains(" Ready "), "{nodes}");
}

#[test]
fn get_watches() {
    let kubectl = Cluster::shared().namespace("get-watch");
    let mut watch = kubectl.follow(&["get", "configmaps", "--watch", "--output-watch-events", "--selector", "watched"]);
    kubectl.run(&["create", "configmap", "a"]);
    kubectl.run(&["label", "configmap", "a", "watched="]);
    assert!(watch.until("ADDED").contains(" a "));
    kubectl.run(&["annotate", "configmap", "a", "note=1"]);
    watch.until("MODIFIED");
    kubectl.run(&["label", "configmap", "a", "watched-"]);
    watch.until("DELETED");
}

#[test]
fn the_three_patches_change_what_they_say() {
    let kubectl = Cluster::shared().namespace("patch");
    kubectl.apply(&manifests::deployment("web", 0));
    let patch =
        |kind: &str, patch: &str| kubectl.run(&["patch", "deployment", "web", "--type", kind, "--patch", patch]);
    patch(
        "strategic",
        r#"{"spec": {"template": {"spec": {"containers": [{"name": "hello", "env": [{"name": "A", "value": "1"}]}]}}}}"#,
    );
    patch("merge", r#"{"metadata": {"labels": {"app": null, "tier": "front"}}}"#);
    patch("json", r#"[{"op": "replace", "path": "/spec/template/spec/containers/0/env/0/value", "value": "2"}]"#);
    let deployment = kubectl.json(&["deployment", "web"]);
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "samples/hello-http:1");
    assert_eq!(container["env"], serde_json::json!([{"name": "A", "value": "2"}]));
    assert_eq!(deployment["metadata"]["labels"], serde_json::json!({"tier": "front"}));
    let unknown = r#"[{"op": "remove", "path": "/spec/nothing"}]"#;
    let outcome = kubectl.attempt(&["patch", "deployment", "web", "--type", "json", "--patch", unknown]);
    assert!(outcome.code != 0 && outcome.stderr.contains("/spec/nothing"), "{outcome:?}");
    let status = r#"{"status": {"observedGeneration": 77}}"#;
    kubectl.run(&["patch", "deployment", "web", "--subresource", "status", "--type", "merge", "--patch", status]);
}

#[test]
fn label_and_annotate_add_change_and_remove() {
    let kubectl = Cluster::shared().namespace("label");
    kubectl.run(&["create", "configmap", "a"]);
    kubectl.run(&["label", "configmap", "a", "x=1", "y=2"]);
    let refused = kubectl.attempt(&["label", "configmap", "a", "x=3"]);
    assert!(refused.code != 0 && refused.stderr.contains("--overwrite"), "{refused:?}");
    kubectl.run(&["label", "configmap", "a", "x=3", "y-", "--overwrite"]);
    kubectl.run(&["annotate", "configmap", "a", "note=hello world"]);
    let metadata = &kubectl.json(&["configmap", "a"])["metadata"];
    assert_eq!(metadata["labels"], serde_json::json!({"x": "3"}));
    assert_eq!(metadata["annotations"], serde_json::json!({"note": "hello world"}));
    let invalid = kubectl.attempt(&["label", "configmap", "a", "x=not/a/value", "--overwrite"]);
    assert!(invalid.code != 0, "{invalid:?}");
}

#[test]
fn edit_changes_what_the_editor_changed() {
    let cluster = Cluster::shared();
    let kubectl = cluster.namespace("edit");
    kubectl.apply(&manifests::config_map("a", "key", "old"));
    let folder = tempfile::tempdir().unwrap();
    let editor = folder.path().join("editor.sh");
    fs::write(&editor, "#!/bin/sh\nsed -i 's/key: old/key: new/' \"$1\"\n").unwrap();
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
    let edited = kubectl.with("EDITOR", editor.to_str().unwrap()).run(&["edit", "configmap", "a"]);
    assert!(edited.contains("configmap/a edited"), "{edited}");
    assert_eq!(kubectl.field(&["configmap", "a"], "{.data.key}"), "new");
    let unchanged = kubectl.with("EDITOR", "true").attempt(&["edit", "configmap", "a"]);
    assert!(
        unchanged.stderr.contains("no changes made") || unchanged.stdout.contains("no changes made"),
        "{unchanged:?}"
    );
}

#[test]
fn describe_tells_all_about_an_object() {
    let kubectl = Cluster::shared().namespace("describe");
    kubectl.apply(&manifests::deployment("web", 1));
    kubectl.run(&["rollout", "status", "deployment/web", "--timeout=90s"]);
    let deployment = kubectl.run(&["describe", "deployment", "web"]);
    assert!(deployment.contains("1 desired | 1 updated | 1 total | 1 available"), "{deployment}");
    assert!(deployment.contains("ScalingReplicaSet"), "{deployment}");
    let pod = kubectl.run(&["describe", "pods", "--selector", "app=web"]);
    for words in ["Controlled By:", "samples/hello-http:1", "Successfully assigned", "Conditions:"] {
        assert!(pod.contains(words), "{words} is missing in:\n{pod}");
    }
    let node = kubectl.run(&["describe", "nodes"]);
    assert!(node.contains("Non-terminated Pods:") && node.contains("Capacity:"), "{node}");
    kubectl.run(&["expose", "deployment", "web", "--port", "80", "--target-port", "http"]);
    eventually("the service has an endpoint", || kubectl.run(&["describe", "service", "web"]).contains(":8080"));
}

#[test]
fn delete_takes_names_selectors_and_files() {
    let kubectl = Cluster::shared().namespace("delete");
    for name in ["a", "b", "c", "d"] {
        kubectl.apply(&manifests::config_map(name, "key", name));
    }
    kubectl.run(&["label", "configmap", "b", "c", "old=yes"]);
    assert_eq!(kubectl.run(&["delete", "configmap", "a"]), format!("configmap \"a\" deleted from delete namespace\n"));
    kubectl.run(&["delete", "configmaps", "--selector", "old"]);
    kubectl.run_with(&["delete", "--filename", "-"], &manifests::config_map("d", "key", "d"));
    let left =
        kubectl.run(&["get", "configmaps", "--output", "name", "--field-selector", "metadata.name!=kube-root-ca.crt"]);
    assert_eq!(left, "");
    assert!(kubectl.attempt(&["delete", "configmap", "a"]).stderr.contains("not found"));
    kubectl.run(&["delete", "configmap", "a", "--ignore-not-found"]);
}

#[test]
fn wait_waits_for_conditions_values_and_deletion() {
    let kubectl = Cluster::shared().namespace("wait");
    kubectl.apply(&manifests::server("web"));
    kubectl.run(&["wait", "pod/web", "--for=condition=Ready", "--timeout=90s"]);
    kubectl.run(&["wait", "pod/web", "--for=jsonpath={.status.phase}=Running", "--timeout=90s"]);
    kubectl.run(&["delete", "pod", "web", "--wait=false"]);
    kubectl.run(&["wait", "pod/web", "--for=delete", "--timeout=90s"]);
    kubectl.run(&["create", "configmap", "a"]);
    let never = kubectl.attempt(&["wait", "configmap/a", "--for=jsonpath={.data.key}=1", "--timeout=1s"]);
    assert!(never.code != 0 && never.stderr.contains("timed out"), "{never:?}");
}
