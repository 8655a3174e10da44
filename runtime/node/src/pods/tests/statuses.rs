use k8s_openapi::api::core::v1::PodStatus;
use serde_json::{Value, json};

use super::Story;
use crate::pods::happened::Change;
use crate::pods::observed::NotStarted;
use crate::pods::recover;
use crate::pods::slot::Slot;
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

#[test]
fn sidecars_count_for_the_conditions_and_not_for_the_phase() {
    let pod = |policy| {
        Story::new(json!({
            "restartPolicy": policy,
            "initContainers": [
                {"name": "s", "image": "i", "restartPolicy": "Always", "readinessProbe": {"httpGet": {"port": 80}}},
            ],
            "containers": [{"name": "a", "image": "i"}],
        }))
    };
    let going = pod("Never").running(0).settled().running(1);
    let condition = |story: &Story, name: &str| {
        let status = of(story);
        let mut all = status["conditions"].as_array().unwrap().clone().into_iter();
        all.find(|condition| condition["type"] == name).unwrap()
    };
    let ready = condition(&going, "ContainersReady");
    assert_eq!((&ready["status"], &ready["message"]), (&json!("False"), &json!("containers with unready status: [s]")));
    assert_eq!(condition(&going, "Initialized")["status"], "True");
    assert_eq!(of(&going)["phase"], "Running");

    let crashed = going.ended(0, 1);
    assert_eq!(condition(&crashed, "Initialized")["status"], "True", "what is initialized stays so");
    let done = crashed.running(0).ended(1, 0);
    assert_eq!(of(&done)["phase"], "Running", "until nothing of it runs");
    assert_eq!(of(&done.ended(0, 137))["phase"], "Succeeded");
}

#[test]
fn a_container_is_not_running_before_its_post_start_hook_has_ended() {
    let lifecycle = json!({"postStart": {"sleep": {"seconds": 1}}});
    let story = Story::new(json!({"containers": [{"name": "a", "image": "i", "lifecycle": lifecycle}]})).running(0);
    let status = first(&story);
    assert_eq!(status["state"]["waiting"]["reason"], "ContainerCreating");
    assert_eq!((&status["ready"], &status["started"]), (&json!(false), &json!(false)));
    assert_eq!(of(&story)["phase"], "Pending");
    let story = story.apply(Change::PostStarted { slot: Slot(0), id: "id".into(), result: Ok(()) });
    assert!(first(&story)["state"]["running"].is_object());
}

#[test]
fn a_container_whose_post_start_hook_failed_says_so_until_it_crashes_often() {
    let failed = |story: Story| {
        let error = Err("no such page".to_owned());
        story.apply(Change::PostStarted { slot: Slot(0), id: "id".into(), result: error }).ended(0, 137)
    };
    let story = |policy: &str| {
        let lifecycle = json!({"postStart": {"httpGet": {"port": 80}}});
        let container = json!({"name": "a", "image": "i", "lifecycle": lifecycle});
        failed(Story::new(json!({"restartPolicy": policy, "containers": [container]})).running(0))
    };
    let waiting = |story: &Story| first(story)["state"]["waiting"].clone();
    let hook_error = json!({"reason": "PostStartHookError", "message": "no such page"});
    let once = story("Always");
    assert_eq!((once.starts(), waiting(&once)), (vec![], hook_error.clone()));
    assert_eq!(first(&once)["lastState"]["terminated"]["exitCode"], 137);
    let once = once.later(9);
    assert_eq!((once.starts(), waiting(&once)), (vec![], hook_error.clone()));
    let once = once.later(1);
    assert_eq!(once.starts(), [0]);

    let twice = failed(once.running(0));
    assert_eq!(waiting(&twice), hook_error);
    assert_eq!(waiting(&twice.later(3))["reason"], "CrashLoopBackOff");
    assert_eq!(first(&story("Never"))["state"]["terminated"]["exitCode"], 137);
}

#[test]
fn a_pod_past_its_deadline_says_so_and_fails_when_nothing_runs() {
    let story = Story::new(json!({"activeDeadlineSeconds": 5, "containers": [{"name": "a", "image": "i"}]}));
    let story = story.running(0).later(5).settled();
    let status = of(&story);
    assert_eq!((&status["phase"], &status["reason"]), (&json!("Running"), &json!("DeadlineExceeded")));
    assert_eq!(status["message"], "Pod was active on the node longer than the specified deadline");
    assert_eq!(of(&story.ended(0, 0))["phase"], "Failed");
}

#[test]
fn ephemeral_containers_are_shown_apart() {
    let story = Story::new(json!({
        "containers": [{"name": "a", "image": "i"}],
        "ephemeralContainers": [{"name": "e", "image": "i", "targetContainerName": "a"}],
    }));
    let status = of(&story.running(0).exited(1, 3));
    let own = &status["ephemeralContainerStatuses"][0];
    assert_eq!((&own["name"], &own["state"]["terminated"]["exitCode"]), (&json!("e"), &json!(3)));
    assert_eq!((&own["ready"], &own["started"]), (&json!(false), &Value::Null));
    assert_eq!((&status["phase"], &status["conditions"][2]["status"]), (&json!("Running"), &json!("True")));
}

#[test]
fn readiness_gates_are_opened_by_others() {
    let mut story = Story::new(json!({
        "readinessGates": [{"conditionType": "x.io/a"}, {"conditionType": "x.io/b"}],
        "containers": [{"name": "a", "image": "i"}],
    }))
    .running(0);
    let mut ready = |conditions: Value| {
        story.pod.status = Some(serde_json::from_value(json!({"conditions": conditions})).unwrap());
        let ready = of(&story)["conditions"][2].clone();
        (ready["status"].clone(), ready["message"].as_str().unwrap_or_default().to_owned())
    };
    let message = "corresponding condition of pod readiness gate \"x.io/a\" does not exist., \
                   the status of pod readiness gate \"x.io/b\" is not \"True\", but False";
    assert_eq!(ready(json!([{"type": "x.io/b", "status": "False"}])), (json!("False"), message.to_owned()));
    let open = json!([{"type": "x.io/a", "status": "True"}, {"type": "x.io/b", "status": "True"}]);
    assert_eq!(ready(open), (json!("True"), String::new()));
}

#[test]
fn after_a_restart_of_the_node_the_init_containers_do_their_part_again() {
    let pod = |policy| {
        Story::new(json!({
            "restartPolicy": policy,
            "initContainers": [{"name": "i", "image": "i"}],
            "containers": [{"name": "a", "image": "i"}],
            "ephemeralContainers": [{"name": "e", "image": "i"}],
        }))
    };
    let recovered = |mut story: Story| {
        story.pod.status = Some(typed(&story, &PodStatus::default()));
        let mut observed = recover::observed(&story.pod, story.now);
        observed.ip = story.observed.ip;
        Story { observed, ..story }
    };
    let running = recovered(pod("Always").exited(0, 0).settled().running(1).running(2));
    assert_eq!(running.starts(), [0], "not the ephemeral one, which has had its run");
    assert_eq!(of(&running.running(0))["initContainerStatuses"][0]["restartCount"], 1);
    let never = recovered(pod("Never").exited(0, 0).settled().running(1));
    assert_eq!((never.starts(), &of(&never)["phase"]), (vec![], &json!("Failed")));
}
