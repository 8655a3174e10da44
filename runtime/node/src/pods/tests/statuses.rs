use k8s_openapi::api::core::v1::PodStatus;
use serde_json::{Value, json};

use super::Story;
use crate::pods::happened::Change;
use crate::pods::observed::NotStarted;
use crate::pods::recover;
use crate::pods::spec::Slot;
use crate::pods::status::status;
use crate::runtime::Exit;

fn typed(story: &Story, previous: &PodStatus) -> PodStatus {
    status(&story.pod, &story.observed, previous, "127.0.0.1".parse().unwrap(), story.now)
}

fn of(story: &Story) -> Value {
    json!(typed(story, &PodStatus::default()))
}

fn first(story: &Story) -> Value {
    of(story)["containerStatuses"][0].clone()
}

fn two(policy: &str) -> Story {
    Story::new(json!({
        "restartPolicy": policy,
        "containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]
    }))
}

#[test]
fn phases_follow_the_kubelets_rules() {
    let with_init = || {
        Story::new(json!({
            "restartPolicy": "Never",
            "initContainers": [{"name": "init", "image": "i"}],
            "containers": [{"name": "a", "image": "i"}]
        }))
    };
    for (story, expected) in [
        (two("Always"), "Pending"),
        (two("Always").running(0), "Pending"),
        (two("Always").running(0).running(1), "Running"),
        (two("Always").exited(0, 0).exited(1, 0), "Running"),
        (two("Always").exited(0, 1).starting(0).running(1), "Running"),
        (two("OnFailure").exited(0, 0).running(1), "Running"),
        (two("OnFailure").exited(0, 0).exited(1, 1), "Running"),
        (two("OnFailure").exited(0, 0).exited(1, 0), "Succeeded"),
        (two("Never").exited(0, 1).running(1), "Running"),
        (two("Never").exited(0, 1).exited(1, 0), "Failed"),
        (two("Never").exited(0, 0).exited(1, 0), "Succeeded"),
        (with_init().running(0), "Pending"),
        (with_init().exited(0, 1), "Failed"),
        (with_init().exited(0, 0).exited(1, 0), "Succeeded"),
        (two("Always").running(0).running(1).deleted(30), "Running"),
        (two("Always").exited(0, 0).exited(1, 0).deleted(30), "Succeeded"),
        (two("Always").exited(0, 0).exited(1, 137).deleted(30), "Failed"),
        (two("Always").deleted(30), "Failed"),
    ] {
        assert_eq!(of(&story)["phase"], expected, "{:?}", story.observed.containers);
    }
}

#[test]
fn a_container_that_waits_says_why() {
    for (story, reason, message) in [
        (two("Always"), "ContainerCreating", None),
        (two("Always").failing(0, NotStarted::ImagePull), "ErrImagePull", Some("why")),
        (
            two("Always").failing(0, NotStarted::ImagePull).later(3),
            "ImagePullBackOff",
            Some("Back-off pulling image: why"),
        ),
        (two("Always").failing(0, NotStarted::ErrImageNeverPull), "ErrImageNeverPull", Some("why")),
        (two("Always").failing(0, NotStarted::CreateContainerConfigError), "CreateContainerConfigError", Some("why")),
        (
            two("Always").exited(0, 1).exited(0, 1),
            "CrashLoopBackOff",
            Some("back-off 10s restarting failed container=a pod=p_ns(u)"),
        ),
    ] {
        let waiting = &first(&story)["state"]["waiting"];
        assert_eq!((waiting["reason"].as_str(), waiting["message"].as_str()), (Some(reason), message));
    }
}

#[test]
fn a_crash_loop_shows_the_last_end_and_counts() {
    let status = first(&Story::single("Always").exited(0, 3).exited(0, 4));
    assert_eq!(status["restartCount"], 1);
    assert_eq!(status["ready"], false);
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 4);
    assert_eq!(status["lastState"]["terminated"]["reason"], "Error");

    let status = first(&Story::single("Always").exited(0, 3).running(0));
    assert_eq!((&status["restartCount"], &status["ready"]), (&json!(1), &json!(true)));
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 3);
}

#[test]
fn ends_have_kubernetes_reasons() {
    for (exit, reason) in [
        (Exit { code: 0, oom_killed: false, message: None }, "Completed"),
        (Exit { code: 2, oom_killed: false, message: None }, "Error"),
        (Exit { code: 137, oom_killed: true, message: None }, "OOMKilled"),
    ] {
        let code = exit.code;
        let story = Story::single("Never").running(0).apply(Change::Exited { slot: Slot(0), id: "id".into(), exit });
        let ended = &first(&story)["state"]["terminated"];
        assert_eq!((ended["reason"].as_str(), &ended["exitCode"]), (Some(reason), &json!(code)));
    }
}

#[test]
fn conditions_say_how_far_the_pod_has_come_and_keep_their_times() {
    let conditions = |status: &PodStatus| -> Vec<(String, String)> {
        let conditions = status.conditions.iter().flatten();
        conditions.map(|condition| (condition.type_.clone(), condition.status.clone())).collect()
    };
    let pending = two("Always").running(0);
    let before = typed(&pending, &PodStatus::default());
    let expected = [
        ("PodReadyToStartContainers", "True"),
        ("Initialized", "True"),
        ("Ready", "False"),
        ("ContainersReady", "False"),
        ("PodScheduled", "True"),
    ];
    assert_eq!(conditions(&before), expected.map(|(name, holds)| (name.to_owned(), holds.to_owned())));
    let ready = &before.conditions.as_ref().unwrap()[2];
    assert_eq!(ready.message.as_deref(), Some("containers with unready status: [b]"));

    let running = pending.later(5).running(1);
    let after = typed(&running, &before);
    let moved: Vec<bool> = std::iter::zip(before.conditions.unwrap(), after.conditions.unwrap())
        .map(|(before, after)| before.last_transition_time != after.last_transition_time)
        .collect();
    assert_eq!(moved, [false, false, true, true, false]);
}

#[test]
fn a_readiness_probe_must_succeed_first() {
    let probe = json!({"httpGet": {"port": 80}});
    let story = Story::new(json!({"containers": [{"name": "a", "image": "i", "readinessProbe": probe}]})).running(0);
    assert_eq!(first(&story)["ready"], false);
    let ok =
        Change::Probed { slot: Slot(0), id: "id".into(), kind: crate::pods::probe::ProbeKind::Readiness, ok: true };
    let status = of(&story.apply(ok));
    assert_eq!(status["containerStatuses"][0]["ready"], true);
}

#[test]
fn a_restarted_node_finds_its_containers_ended() {
    let mut story = two("Always").running(0).exited(1, 0);
    story.pod.status = Some(typed(&story, &PodStatus::default()));
    let observed = recover::observed(&story.pod, story.at(60));
    let recovered = Story { pod: story.pod, observed, now: story.now }.later(60);
    let status = of(&recovered);
    let lost = &status["containerStatuses"][0]["state"]["terminated"];
    assert_eq!((&lost["exitCode"], &lost["reason"]), (&json!(255), &json!("Unknown")));
    assert_eq!(status["containerStatuses"][1]["state"]["terminated"]["exitCode"], 0);

    let again = of(&recovered.running(0));
    assert_eq!(again["containerStatuses"][0]["restartCount"], 1);
    assert_eq!(again["containerStatuses"][0]["lastState"]["terminated"]["exitCode"], 255);
    assert_eq!(again["startTime"], "1970-01-01T00:00:00Z");
}
