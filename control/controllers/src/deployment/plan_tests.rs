use serde_json::{Value, json};

use super::*;

fn deployment(replicas: i32, extra: Value) -> Deployment {
    let mut deployment = json!({
        "metadata": { "namespace": "ns", "name": "web", "uid": "d", "generation": 1, "annotations": { "team": "blue" } },
        "spec": {
            "replicas": replicas, "selector": { "matchLabels": { "app": "web" } }, "progressDeadlineSeconds": 60,
            "template": { "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [{ "name": "c", "image": "v2" }] } },
        },
    });
    for (name, value) in extra.as_object().cloned().unwrap_or_default() {
        deployment["spec"][name] = value;
    }
    serde_json::from_value(deployment).unwrap()
}

fn set(image: &str, replicas: i32, available: i32, revision: i32, desired: i32) -> Arc<ReplicaSet> {
    let set = json!({
        "metadata": {
            "namespace": "ns", "name": format!("web-{image}"), "uid": image, "generation": 1,
            "creationTimestamp": format!("2026-01-01T00:00:{revision:02}Z"),
            "annotations": { REVISION: revision.to_string(), DESIRED: desired.to_string(), MOST: (desired + 1).to_string() },
        },
        "spec": {
            "replicas": replicas, "selector": {},
            "template": {
                "metadata": { "labels": { "app": "web", HASH_LABEL: "x" } },
                "spec": { "containers": [{ "name": "c", "image": image }] },
            },
        },
        "status": { "replicas": replicas, "readyReplicas": available, "availableReplicas": available, "observedGeneration": 1 },
    });
    Arc::new(serde_json::from_value(set).unwrap())
}

fn planned(deployment: Deployment, sets: Vec<Arc<ReplicaSet>>, running: &[&str]) -> (Vec<String>, Plan) {
    let running = running.iter().map(|uid| (*uid).to_owned()).collect();
    let plan = plan(&Observed { deployment: Arc::new(deployment), sets, running }, Timestamp::UNIX_EPOCH);
    let said = plan.actions.iter().map(|action| match action {
        Action::Create(set) => format!("create {}", replicas(set)),
        Action::Update { set, annotations, .. } => format!("update {} {}", set.name_any(), annotations.len()),
        Action::Resize { set, replicas, .. } => format!("resize {} {replicas}", set.name_any()),
        Action::Delete(set) => format!("delete {}", set.name_any()),
        Action::SetRevision(revision) => format!("revision {revision}"),
    });
    (said.collect(), plan)
}

#[test]
fn one_step_at_a_time() {
    let recreate = || json!({ "strategy": { "type": "Recreate" } });
    let cases = [
        (deployment(3, json!({})), vec![], &[][..], vec!["create 3"]),
        (deployment(3, json!({})), vec![set("v1", 3, 3, 1, 3)], &[], vec!["create 1"]),
        (deployment(3, recreate()), vec![set("v1", 3, 3, 1, 3)], &["v1"], vec!["resize web-v1 0"]),
        (deployment(3, recreate()), vec![set("v1", 0, 0, 1, 3)], &["v1"], vec![]),
        (deployment(3, recreate()), vec![set("v1", 0, 0, 1, 3)], &[], vec!["create 3"]),
        (deployment(3, json!({ "paused": true })), vec![set("v1", 3, 3, 1, 3)], &[], vec![]),
        (deployment(5, json!({ "paused": true })), vec![set("v1", 3, 3, 1, 3)], &[], vec!["resize web-v1 5"]),
    ];
    for (deployment, sets, running, expected) in cases {
        assert_eq!(planned(deployment.clone(), sets, running).0, expected, "{:?}", deployment.spec);
    }
}

#[test]
fn an_old_set_with_the_present_template_is_used_again_as_a_new_revision() {
    let (said, plan) = planned(deployment(3, json!({})), vec![set("v2", 0, 0, 1, 3), set("v1", 3, 3, 2, 3)], &[]);
    assert_eq!(said, ["update web-v2 3", "revision 3", "resize web-v2 1"]);
    let Action::Update { annotations, .. } = &plan.actions[0] else { panic!("{said:?}") };
    assert_eq!((annotations[REVISION].as_str(), annotations["team"].as_str()), ("3", "blue"));
    assert_eq!(annotations["deployment.kubernetes.io/revision-history"], "1");
}

#[test]
fn two_active_sets_are_scaled_in_proportion() {
    let sets = vec![set("v1", 8, 8, 1, 10), set("v2", 3, 3, 2, 10)];
    let said = planned(deployment(20, json!({})), sets, &[]).0;
    assert!(said.contains(&"resize web-v1 18".to_owned()) && said.contains(&"resize web-v2 7".to_owned()), "{said:?}");
}

#[test]
fn no_progress_within_the_deadline_is_said_so() {
    let mut late = deployment(3, json!({}));
    let sets = vec![set("v2", 3, 0, 1, 3)];
    late.status = Some(planned(late.clone(), sets.clone(), &[]).1.status);
    let observed = Observed { deployment: Arc::new(late), sets, running: HashSet::new() };
    let in_time = plan(&observed, Timestamp::from_second(59).unwrap());
    assert_eq!(in_time.look_again, Some(Duration::from_secs(2)));
    let status = plan(&observed, Timestamp::from_second(61).unwrap()).status;
    let progressing = condition(&status, PROGRESSING).unwrap();
    assert_eq!(
        (progressing.status.as_deref(), progressing.reason.as_deref()),
        (Some("False"), Some("ProgressDeadlineExceeded"))
    );
    assert_eq!(progressing.message.as_deref(), Some("ReplicaSet \"web-v2\" has timed out progressing."));
}
