use serde_json::json;

use super::Story;
use crate::pods::happened::Change;
use crate::pods::observed::{Ended, NotStarted};
use crate::pods::plan::{Action, Plan, StopReason, plan};
use crate::pods::probe::ProbeKind;
use crate::pods::spec::Slot;

fn of(story: &Story) -> Plan {
    plan(&story.pod, &story.observed, story.now)
}

fn starts(story: &Story) -> Vec<usize> {
    let actions = of(story).actions;
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Start(slot) => Some(slot.0),
            _ => None,
        })
        .collect()
}

fn two() -> Story {
    Story::new(json!({"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]}))
}

fn with_init(policy: &str) -> Story {
    Story::new(json!({
        "restartPolicy": policy,
        "initContainers": [{"name": "i1", "image": "i"}, {"name": "i2", "image": "i"}],
        "containers": [{"name": "a", "image": "i"}],
    }))
}

#[test]
fn an_address_comes_first() {
    let mut story = two();
    story.observed.ip = None;
    assert_eq!(of(&story).actions, [Action::AssignIp]);
}

#[test]
fn containers_start_in_order_and_one_that_fails_holds_up_none() {
    assert_eq!(starts(&two()), [0]);
    assert_eq!(starts(&two().starting(0)), [0usize; 0]);
    assert_eq!(starts(&two().running(0)), [1]);
    assert_eq!(starts(&two().failing(0, NotStarted::ImagePull)), [1]);
}

#[test]
fn init_containers_run_one_by_one_before_the_others() {
    for (story, expected) in [
        (with_init("Always"), vec![0]),
        (with_init("Always").running(0), vec![]),
        (with_init("Always").exited(0, 0), vec![1]),
        (with_init("Always").exited(0, 0).exited(1, 0), vec![2]),
        (with_init("Always").exited(0, 1), vec![0]),
        (with_init("Never").exited(0, 1), vec![]),
    ] {
        assert_eq!(starts(&story), expected, "{:?}", story.observed.containers);
    }
}

#[test]
fn the_restart_policy_decides_over_the_exit_code() {
    for (policy, code, restarts) in [
        ("Always", 0, true),
        ("Always", 1, true),
        ("OnFailure", 0, false),
        ("OnFailure", 1, true),
        ("Never", 0, false),
        ("Never", 1, false),
    ] {
        assert_eq!(!starts(&Story::single(policy).exited(0, code)).is_empty(), restarts, "{policy} {code}");
    }
}

#[test]
fn a_crash_loop_waits_longer_each_time() {
    // The first restart is at once, the second after 10 seconds.
    let story = Story::single("Always").exited(0, 1).exited(0, 1);
    let planned = of(&story);
    assert_eq!((planned.actions, planned.wake), (vec![], Some(story.at(10))));
    let story = story.later(10);
    assert_eq!(starts(&story), [0]);
    let story = story.exited(0, 1);
    assert_eq!(of(&story).wake, Some(story.at(20)));

    let recovered = story.later(20).running(0).later(601).ended(0, 1);
    assert_eq!(starts(&recovered), [0], "a long run is no crash loop");
}

#[test]
fn a_failed_start_is_tried_again_later() {
    let story = Story::single("Never").failing(0, NotStarted::ImagePull);
    assert_eq!((of(&story).actions, of(&story).wake), (vec![], Some(story.at(10))));
    let story = story.later(10);
    assert_eq!(starts(&story), [0]);
    let story = story.failing(0, NotStarted::ImagePull).later(10).failing(0, NotStarted::ImagePull);
    assert_eq!(of(&story).wake, Some(story.at(20)));
}

#[test]
fn a_deleted_pod_ends_by_its_deadline_and_nothing_starts_again() {
    let story = two().running(0).starting(1).deleted(30);
    let until = story.at(30);
    let stop = Action::Stop { slot: Slot(0), until, why: StopReason::PodEnds };
    assert_eq!(of(&story).actions, [stop, Action::Abandon(Slot(1))]);

    let story = story.apply(Change::Stopping { slot: Slot(0), until });
    assert_eq!(of(&story).actions, [Action::Abandon(Slot(1))], "it is told once");
    let story = story.later(5).deleted(1);
    let sooner = Action::Stop { slot: Slot(0), until: story.at(1), why: StopReason::PodEnds };
    assert_eq!(of(&story).actions[0], sooner, "and again when there is less time");

    assert_eq!(of(&Story::single("Always").exited(0, 1).deleted(30)).actions, []);
    assert_eq!(of(&Story::single("Always").deleted(30)).actions, []);
}

#[test]
fn a_pod_that_is_gone_ends_now() {
    let mut story = Story::single("Always").running(0);
    story.observed.gone = true;
    assert_eq!(of(&story).actions, [Action::Stop { slot: Slot(0), until: story.now, why: StopReason::PodEnds }]);
}

#[test]
fn a_pod_that_ended_never_runs() {
    let mut story = Story::single("Always");
    story.observed.ended = Some(Ended::Failed);
    assert_eq!(of(&story), Plan::default());
}

#[test]
fn a_failed_liveness_probe_and_a_new_image_restart_the_container() {
    let probe = json!({"httpGet": {"port": 80}, "failureThreshold": 1});
    let story = Story::new(json!({"containers": [{"name": "a", "image": "i", "livenessProbe": probe}]})).running(0);
    let failed = Change::Probed { slot: Slot(0), id: "id".into(), kind: ProbeKind::Liveness, ok: false };
    let story = story.apply(failed);
    let stop = |why| [Action::Stop { slot: Slot(0), until: story.at(30), why }];
    assert_eq!(of(&story).actions, stop(StopReason::Unhealthy));

    let mut changed = Story::single("Never").running(0);
    changed.pod.spec.as_mut().unwrap().containers[0].image = Some("other".into());
    assert_eq!(of(&changed).actions, stop(StopReason::ImageChanged));
}
