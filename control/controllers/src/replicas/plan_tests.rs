use k8s_openapi::api::apps::v1::ReplicaSet;
use serde_json::{Value, json};

use super::*;
use crate::claim::claim;
use crate::replicas::status::{Failure, status};

const NOW: &str = "2026-01-01T00:01:00Z";

fn set(replicas: i32, extra: Value) -> ReplicaSet {
    let mut set = json!({
        "metadata": { "namespace": "ns", "name": "web", "uid": "web", "generation": 3 },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web", "tier": "front" }, "annotations": { "a": "b" } },
                "spec": { "containers": [{ "name": "c", "image": "i" }] },
            },
        },
    });
    for (name, value) in extra.as_object().cloned().unwrap_or_default() {
        set["metadata"][name] = value;
    }
    serde_json::from_value(set).unwrap()
}

/// A Pod from a line such as `a owner=web ready=10 node=n1 phase=Running app=web`.
fn pod(line: &str) -> Arc<Pod> {
    let mut words = line.split_whitespace();
    let name = words.next().unwrap();
    let mut pod = json!({
        "metadata": { "namespace": "ns", "name": name, "uid": name, "labels": { "app": "web" },
                      "creationTimestamp": "2026-01-01T00:00:00Z" },
        "spec": { "containers": [], "nodeName": "n1" },
        "status": { "phase": "Running" },
    });
    for word in words {
        let (key, value) = word.split_once('=').unwrap();
        match key {
            "owner" => {
                pod["metadata"]["ownerReferences"] = json!([{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": value, "uid": value, "controller": true }])
            }
            "ready" => {
                pod["status"]["conditions"] = json!([{ "type": "Ready", "status": "True", "lastTransitionTime": format!("2026-01-01T00:00:{value}Z") }])
            }
            "node" => pod["spec"]["nodeName"] = json!(value),
            "phase" => pod["status"]["phase"] = json!(value),
            "app" => pod["metadata"]["labels"]["app"] = json!(value),
            "cost" => pod["metadata"]["annotations"] = json!({ "controller.kubernetes.io/pod-deletion-cost": value }),
            "restarts" => {
                pod["status"]["containerStatuses"] = json!([{ "name": "c", "image": "", "imageID": "", "ready": true, "restartCount": value.parse::<i32>().unwrap() }])
            }
            "created" => pod["metadata"]["creationTimestamp"] = json!(format!("2026-01-01T00:00:{value}Z")),
            "deleted" => pod["metadata"]["deletionTimestamp"] = json!(NOW),
            _ => panic!("{key}"),
        }
    }
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn planned(set: &ReplicaSet, pods: &[&str]) -> Plan {
    let (mut owned, mut orphans) = (Vec::new(), Vec::new());
    for pod in pods.iter().map(|line| pod(line)) {
        match carob_reconcile::controller_of(&pod.metadata) {
            Some(owner) if owner.uid == "web" => owned.push(pod),
            Some(_) => {}
            None => orphans.push(pod),
        }
    }
    let related = owned.clone();
    let claim = claim(&set.metadata, &set.selector().unwrap(), owned, orphans);
    plan(set, claim, &related, NOW.parse().unwrap())
}

fn names(pods: &[Arc<Pod>]) -> Vec<&str> {
    pods.iter().map(|pod| pod.metadata.name.as_deref().unwrap()).collect()
}

#[test]
fn so_many_pods_and_no_more() {
    let cases: [(i32, &[&str], usize, &[&str]); 7] = [
        (3, &[], 3, &[]),
        (3, &["a owner=web", "b owner=web"], 1, &[]),
        (1, &["a owner=web"], 0, &[]),
        (0, &["a owner=web"], 0, &["a"]),
        (2, &["a owner=web", "b owner=web phase=Failed", "c owner=web phase=Succeeded"], 1, &[]),
        (2, &["a owner=web", "b owner=web deleted=1"], 1, &[]),
        (1, &["a owner=other", "b owner=web"], 0, &[]),
    ];
    for (replicas, pods, create, delete) in cases {
        let plan = planned(&set(replicas, json!({})), pods);
        assert_eq!((plan.create, names(&plan.delete)), (create, delete.to_vec()), "{replicas} {pods:?}");
    }
    assert_eq!(planned(&set(2000, json!({})), &[]).create, BURST);
}

#[test]
fn a_set_that_is_being_deleted_creates_deletes_and_adopts_nothing() {
    let set = set(3, json!({ "deletionTimestamp": NOW }));
    let plan = planned(&set, &["a owner=web", "b"]);
    assert_eq!((plan.create, plan.delete.len(), plan.adopt.len(), plan.active.len()), (0, 0, 0, 1));
}

#[test]
fn orphans_are_adopted_and_strangers_released() {
    let plan = planned(&set(3, json!({})), &["a", "b app=other", "c owner=web app=other", "d deleted=1"]);
    assert_eq!(names(&plan.adopt), ["a"]);
    assert_eq!(names(&plan.release), ["c"]);
    assert_eq!((names(&plan.active), plan.create), (vec!["a"], 2));
}

#[test]
fn the_least_missed_go_first() {
    let pairs = [
        ("x owner=web node= ready=01", "y owner=web"),
        ("x owner=web phase=Pending ready=01", "y owner=web"),
        ("x owner=web", "y owner=web ready=01"),
        ("x owner=web ready=01 cost=-1", "y owner=web ready=02"),
        ("x owner=web ready=01 node=n2", "y owner=web ready=02 node=n3"),
        ("x owner=web ready=09", "y owner=web ready=05"),
        ("x owner=web ready=05 restarts=3", "y owner=web ready=05 restarts=1"),
        ("x owner=web ready=05 created=09", "y owner=web ready=05 created=01"),
    ];
    for (first, second) in pairs {
        let plan = planned(&set(2, json!({})), &[second, first, "crowd owner=web ready=00 node=n2"]);
        assert_eq!(names(&plan.delete), ["x"], "{first} before {second}");
    }
}

#[test]
fn the_pod_is_what_the_template_says() {
    let pod = pod_from_template(&set(1, json!({}))).unwrap();
    assert_eq!(pod.metadata.generate_name.as_deref(), Some("web-"));
    assert_eq!(pod.metadata.labels.unwrap()["tier"], "front");
    assert_eq!(pod.metadata.annotations.unwrap()["a"], "b");
    let owner = &pod.metadata.owner_references.unwrap()[0];
    assert_eq!(
        (owner.kind.as_str(), owner.api_version.as_str(), owner.controller),
        ("ReplicaSet", "apps/v1", Some(true))
    );
}

#[test]
fn the_status_counts_and_availability_waits() {
    let mut set = set(3, json!({}));
    set.spec.min_ready_seconds = Some(30);
    let pods = ["a owner=web ready=10", "b owner=web ready=50", "c owner=web"];
    let plan = planned(&set, &pods);
    assert_eq!(plan.look_again, Some(Duration::from_secs(20)));
    let status = status(&set, &plan.active, None, NOW.parse().unwrap());
    assert_eq!((status.replicas, status.ready_replicas, status.available_replicas), (3, 2, 1));
    assert_eq!((status.fully_labeled_replicas, status.observed_generation), (0, Some(3)));
}

#[test]
fn a_failure_stands_in_the_status_until_it_is_over() {
    let mut set = set(3, json!({}));
    let failure = Failure { reason: "FailedCreate", message: "no".into() };
    let failed = status(&set, &[], Some(&failure), NOW.parse().unwrap());
    assert_eq!(
        (failed.conditions[0].type_.as_str(), failed.conditions[0].reason.as_str()),
        ("ReplicaFailure", "FailedCreate")
    );
    set.status = serde_json::from_value(serde_json::to_value(&failed).unwrap()).unwrap();
    assert_eq!(set.status().conditions, failed.conditions);
    assert!(status(&set, &[], None, NOW.parse().unwrap()).conditions.is_empty());
}
