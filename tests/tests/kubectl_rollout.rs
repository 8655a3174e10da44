//! kubectl and Deployments: scaling, rolling out, going back, deleting with and without what they own.

use carob_tests::{Cluster, Kubectl, eventually, manifests};

fn deployed(namespace: &str, replicas: u32) -> Kubectl {
    let kubectl = Cluster::shared().namespace(namespace);
    kubectl.apply(&manifests::deployment("web", replicas));
    roll_out(&kubectl);
    kubectl
}

fn roll_out(kubectl: &Kubectl) {
    kubectl.run(&["rollout", "status", "deployment/web", "--timeout=120s"]);
}

/// Rolls out another revision: the same image under a variable.
fn change(kubectl: &Kubectl, value: &str) {
    kubectl.run(&["set", "env", "deployment/web", &format!("REVISION={value}")]);
}

fn revision(kubectl: &Kubectl) -> String {
    kubectl.field(&["deployment", "web"], "{.spec.template.spec.containers[0].env[0].value}")
}

fn count(kubectl: &Kubectl, resource: &str) -> usize {
    kubectl.run(&["get", resource, "--selector", "app=web", "--output", "name"]).lines().count()
}

#[test]
fn scale_changes_the_number_of_pods() {
    let kubectl = deployed("scale", 1);
    kubectl.run(&["scale", "deployment", "web", "--replicas", "3"]);
    roll_out(&kubectl);
    assert_eq!(kubectl.field(&["deployment", "web"], "{.status.readyReplicas}"), "3");
    let wrong = kubectl.attempt(&["scale", "deployment", "web", "--replicas", "5", "--current-replicas", "2"]);
    assert!(wrong.code != 0, "{wrong:?}");
    kubectl.run(&["scale", "--replicas", "0", "deployment/web"]);
    eventually("all Pods are gone", || count(&kubectl, "pods") == 0);
}

#[test]
fn set_image_rolls_out_and_status_tells_when() {
    let kubectl = deployed("set-image", 2);
    kubectl.run(&["set", "image", "deployment/web", "hello=samples/hello-http-p3:1"]);
    let status = kubectl.run(&["rollout", "status", "deployment/web", "--timeout=120s"]);
    assert!(status.contains("successfully rolled out"), "{status}");
    eventually("only Pods of the new image are left", || {
        let images = kubectl.field(&["pods"], "{.items[*].spec.containers[0].image}");
        images == "samples/hello-http-p3:1 samples/hello-http-p3:1"
    });
    assert_eq!(count(&kubectl, "replicasets"), 2);
}

#[test]
fn a_rollout_that_cannot_succeed_is_told() {
    let kubectl = deployed("set-image-missing", 1);
    kubectl.run(&["set", "image", "deployment/web", "hello=samples/missing:1"]);
    let status = kubectl.attempt(&["rollout", "status", "deployment/web", "--timeout=2s"]);
    assert!(status.code != 0, "{status:?}");
    assert_eq!(kubectl.field(&["deployment", "web"], "{.status.availableReplicas}"), "1");
    kubectl.run(&["rollout", "undo", "deployment/web"]);
    roll_out(&kubectl);
}

#[test]
fn history_and_undo_go_back() {
    let kubectl = deployed("undo", 1);
    for value in ["two", "three"] {
        change(&kubectl, value);
        roll_out(&kubectl);
    }
    let history = kubectl.run(&["rollout", "history", "deployment/web"]);
    let revisions: Vec<&str> = history.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(revisions.ends_with(&["1", "2", "3"]), "{history}");
    let second = kubectl.run(&["rollout", "history", "deployment/web", "--revision", "2"]);
    assert!(second.contains("REVISION:\ttwo"), "{second}");
    kubectl.run(&["rollout", "undo", "deployment/web"]);
    roll_out(&kubectl);
    assert_eq!(revision(&kubectl), "two");
    kubectl.run(&["rollout", "undo", "deployment/web", "--to-revision", "1"]);
    roll_out(&kubectl);
    assert_eq!(revision(&kubectl), "");
    let history = kubectl.run(&["rollout", "history", "deployment/web"]);
    let revisions: Vec<&str> = history.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(revisions.ends_with(&["3", "4", "5"]), "{history}");
}

#[test]
fn a_paused_deployment_changes_when_it_is_resumed() {
    let kubectl = deployed("pause", 1);
    kubectl.run(&["rollout", "pause", "deployment/web"]);
    change(&kubectl, "two");
    let paused = "{.status.observedGeneration} {.metadata.generation}";
    eventually("the controller has seen the change", || {
        let generations = kubectl.field(&["deployment", "web"], paused);
        generations.split_once(' ').is_some_and(|(seen, now)| seen == now)
    });
    assert_eq!(count(&kubectl, "replicasets"), 1, "no second ReplicaSet while paused");
    kubectl.run(&["rollout", "resume", "deployment/web"]);
    roll_out(&kubectl);
    assert_eq!(count(&kubectl, "replicasets"), 2);
}

#[test]
fn restart_replaces_every_pod() {
    let kubectl = deployed("restart", 1);
    let before = kubectl.field(&["pods"], "{.items[*].metadata.uid}");
    kubectl.run(&["rollout", "restart", "deployment/web"]);
    roll_out(&kubectl);
    eventually("the first Pod is gone", || !kubectl.field(&["pods"], "{.items[*].metadata.uid}").contains(&before));
}

#[test]
fn delete_in_the_background_takes_the_dependents_later() {
    let kubectl = deployed("background", 1);
    kubectl.run(&["delete", "deployment", "web", "--cascade=background"]);
    eventually("ReplicaSets and Pods are gone", || count(&kubectl, "replicasets") + count(&kubectl, "pods") == 0);
}

#[test]
fn delete_in_the_foreground_takes_the_dependents_first() {
    let kubectl = deployed("foreground", 2);
    kubectl.run(&["delete", "deployment", "web", "--cascade=foreground", "--timeout=90s"]);
    assert_eq!(count(&kubectl, "replicasets"), 0);
    assert_eq!(count(&kubectl, "pods"), 0);
}

#[test]
fn delete_with_orphans_leaves_the_dependents() {
    let kubectl = deployed("orphan", 1);
    kubectl.run(&["delete", "deployment", "web", "--cascade=orphan", "--timeout=90s"]);
    let owners = "{.items[*].metadata.ownerReferences}";
    eventually("the ReplicaSet has no owner", || kubectl.field(&["replicasets"], owners).is_empty());
    assert_eq!((count(&kubectl, "replicasets"), count(&kubectl, "pods")), (1, 1));
    kubectl.apply(&manifests::deployment("web", 1));
    roll_out(&kubectl);
    assert_eq!(count(&kubectl, "replicasets"), 1, "the new Deployment adopts it");
}

#[test]
fn a_replicaset_and_a_replication_controller_keep_their_pods() {
    let kubectl = Cluster::shared().namespace("replicas");
    let replicaset = manifests::deployment("web", 2).replace("kind: Deployment", "kind: ReplicaSet");
    kubectl.apply(&replicaset);
    kubectl.run(&["wait", "replicaset/web", "--for=jsonpath={.status.readyReplicas}=2", "--timeout=90s"]);
    kubectl.run(&["delete", "pod", "--selector", "app=web", "--wait=false"]);
    eventually("two other Pods are ready", || {
        let deleted = "{.items[*].metadata.deletionTimestamp}";
        let ready = kubectl.field(&["replicaset", "web"], "{.status.readyReplicas}");
        ready == "2" && kubectl.field(&["pods"], deleted).is_empty()
    });
    let controller = manifests::deployment("old", 1)
        .replace("apps/v1", "v1")
        .replace("kind: Deployment", "kind: ReplicationController")
        .replace("    matchLabels: {app: old}", "    app: old");
    kubectl.apply(&controller);
    kubectl.run(&["wait", "rc/old", "--for=jsonpath={.status.readyReplicas}=1", "--timeout=90s"]);
    kubectl.run(&["scale", "rc/old", "--replicas", "2"]);
    kubectl.run(&["wait", "rc/old", "--for=jsonpath={.status.readyReplicas}=2", "--timeout=90s"]);
}
