//! How containers and whole Pods are ended.

use serde_json::json;

use super::Story;
use crate::pods::doom::Doom;
use crate::pods::happened::Change;
use crate::pods::observed::{Ended, StopReason, StopStep};
use crate::pods::plan::{Action, Plan, plan};
use crate::pods::probe::ProbeKind;
use crate::pods::slot::Slot;

fn two() -> Story {
    Story::new(json!({"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]}))
}

fn with_hooks() -> Story {
    let hook = json!({"sleep": {"seconds": 1}});
    Story::new(json!({
        "containers": [
            {"name": "a", "image": "i", "lifecycle": {"postStart": hook, "preStop": hook}},
            {"name": "b", "image": "i"}
        ]
    }))
}

#[test]
fn a_deleted_pod_ends_by_its_deadline_and_nothing_starts_again() {
    let story = two().running(0).starting(1).deleted(30);
    let until = story.at(30);
    let stop = Action::Stop { slot: Slot(0), until, why: StopReason::PodEnds };
    assert_eq!(story.plan().actions, [stop, Action::Abandon(Slot(1))]);

    let story = story.settled().stopping(0, until, StopStep::Told);
    assert_eq!(story.plan().actions, [Action::Abandon(Slot(1))], "it is told once");
    let story = story.later(5).deleted(1);
    let sooner = Action::Stop { slot: Slot(0), until: story.at(1), why: StopReason::PodEnds };
    assert_eq!(story.plan().actions[0], sooner, "and again when there is less time");

    assert_eq!(Story::single("Always").exited(0, 1).deleted(30).plan().actions, []);
    assert_eq!(Story::single("Always").deleted(30).plan().actions, []);
}

#[test]
fn a_pod_that_is_gone_ends_now_whatever_its_hooks_do() {
    let now = |story: &Story| [Action::Stop { slot: Slot(0), until: story.now, why: StopReason::PodEnds }];
    let mut story = with_hooks().running(0);
    story.observed.gone = true;
    assert_eq!(story.plan().actions, now(&story));

    let mut story = with_hooks().running(0).deleted(30).settled();
    let until = story.at(30);
    story = story.stopping(0, until, StopStep::PreStop);
    story.observed.gone = true;
    assert_eq!(story.plan().actions, now(&story));
    let now = story.now;
    assert_eq!(story.settled().stopping(0, now, StopStep::Told).later(1).plan().actions, []);
}

#[test]
fn a_pod_that_ended_never_runs() {
    let mut story = Story::single("Always");
    story.observed.ended = Some(Ended::Failed);
    assert_eq!(story.plan(), Plan::default());
}

#[test]
fn a_failed_liveness_probe_and_a_new_image_restart_the_container() {
    let probe = json!({"httpGet": {"port": 80}, "failureThreshold": 1});
    let with = |probe| Story::new(json!({"containers": [{"name": "a", "image": "i", "livenessProbe": probe}]}));
    let story = with(probe.clone()).running(0).probed(0, ProbeKind::Liveness, false);
    let why = StopReason::Unhealthy(ProbeKind::Liveness);
    assert_eq!(story.plan().actions, [Action::Stop { slot: Slot(0), until: story.at(30), why }]);

    let mut hasty = probe;
    hasty["terminationGracePeriodSeconds"] = json!(3);
    let story = with(hasty).running(0).probed(0, ProbeKind::Liveness, false);
    assert_eq!(story.plan().actions, [Action::Stop { slot: Slot(0), until: story.at(3), why }]);

    let mut changed = Story::single("Never").running(0);
    changed.pod.spec.as_mut().unwrap().containers[0].image = Some("other".into());
    let why = StopReason::ImageChanged;
    assert_eq!(changed.plan().actions, [Action::Stop { slot: Slot(0), until: changed.at(30), why }]);
}

#[test]
fn the_pre_stop_hook_comes_first_and_its_time_counts() {
    let story = with_hooks().running(0).apply(Change::PostStarted { slot: Slot(0), id: "id".into(), result: Ok(()) });
    let story = story.running(1).deleted(30);
    let (until, why) = (story.at(30), StopReason::PodEnds);
    assert_eq!(
        story.plan().actions,
        [Action::PreStop { slot: Slot(0), until, why }, Action::Stop { slot: Slot(1), until, why }]
    );

    let story = story.settled().stopping(0, until, StopStep::PreStop).stopping(1, until, StopStep::Told).later(10);
    assert_eq!(story.plan(), Plan { actions: vec![], wake: Some(until) });
    let done = || Change::PreStopped { slot: Slot(0), id: "id".into() };
    let stop = |until| [Action::Stop { slot: Slot(0), until, why }];

    let late = story.later(20);
    assert_eq!(late.plan().actions, stop(late.at(2)), "a hook that takes all the time is not waited for");
    let stopped = late.apply(done());
    assert_eq!(stopped.plan().actions, stop(stopped.at(2)));
}

#[test]
fn a_shorter_grace_shortens_the_hook() {
    let story = with_hooks().running(0).deleted(30).settled();
    let until = story.at(30);
    let story = story.stopping(0, until, StopStep::PreStop).deleted(5);
    assert_eq!(story.plan(), Plan { actions: vec![], wake: Some(story.at(5)) });
    let story = story.settled().later(5);
    let why = StopReason::PodEnds;
    assert_eq!(story.plan().actions, [Action::Stop { slot: Slot(0), until: story.at(2), why }]);
}

#[test]
fn a_container_has_begun_once_its_post_start_hook_has_succeeded() {
    let story = with_hooks().running(0);
    assert_eq!(story.starts(), [0usize; 0], "the next one waits");
    let hooked = |result| Change::PostStarted { slot: Slot(0), id: "id".into(), result };
    assert_eq!(with_hooks().running(0).apply(hooked(Ok(()))).starts(), [1]);

    let failed = story.apply(hooked(Err("why".to_owned())));
    let why = StopReason::PostStartFailed;
    assert_eq!(failed.plan().actions, [Action::PreStop { slot: Slot(0), until: failed.at(30), why }]);
}

#[test]
fn a_pod_that_is_there_for_too_long_is_ended() {
    let story = Story::new(json!({"activeDeadlineSeconds": 60, "containers": [{"name": "a", "image": "i"}]}));
    let story = story.running(0);
    assert_eq!(story.plan(), Plan { actions: vec![], wake: Some(story.at(60)) });
    let story = story.later(60);
    assert_eq!(plan(&story.pod, &story.observed, story.now).actions, [Action::Doom(Doom::DeadlineExceeded)]);
    let why = StopReason::PodEnds;
    assert_eq!(story.plan().actions, [Action::Stop { slot: Slot(0), until: story.at(30), why }]);
    assert_eq!(story.settled().ended(0, 0).plan(), Plan::default(), "what it ends with is never started again");

    let waits = Story::new(json!({"activeDeadlineSeconds": 60, "containers": [{"name": "a", "image": "i"}]}));
    assert_eq!(waits.later(61).settled().plan(), Plan::default(), "nor is what never started");
}
