//! Init containers that stay, and ephemeral containers.

use serde_json::{Value, json};

use super::Story;
use crate::pods::observed::{NotStarted, StopReason, StopStep};
use crate::pods::plan::Action;
use crate::pods::probe::ProbeKind;
use crate::pods::slot::Slot;

/// Slots: sidecar `s` 0, init container `i` 1, sidecar `t` 2, main container `a` 3, ephemeral container `e` 4.
fn pod(policy: &str) -> Story {
    Story::new(json!({
        "restartPolicy": policy,
        "initContainers": [
            {"name": "s", "image": "i", "restartPolicy": "Always", "startupProbe": {"httpGet": {"port": 80}}},
            {"name": "i", "image": "i"},
            {"name": "t", "image": "i", "restartPolicy": "Always"},
        ],
        "containers": [{"name": "a", "image": "i"}],
        "ephemeralContainers": ephemeral(),
    }))
}

fn ephemeral() -> Value {
    json!([{"name": "e", "image": "i"}])
}

fn started(policy: &str) -> Story {
    let story = pod(policy).running(4).running(0).probed(0, ProbeKind::Startup, true);
    story.exited(1, 0).running(2).settled().running(3)
}

fn stops(story: &Story) -> Vec<usize> {
    let stopped = |action: &Action| match action {
        Action::Stop { slot, .. } => Some(slot.0),
        _ => None,
    };
    story.plan().actions.iter().filter_map(stopped).collect()
}

#[test]
fn a_sidecar_lets_the_next_one_start_once_it_has_started_up() {
    for (story, expected) in [
        (pod("Always"), vec![4, 0]),
        (pod("Always").running(4), vec![0]),
        (pod("Always").running(4).running(0), vec![]),
        (pod("Always").running(4).running(0).probed(0, ProbeKind::Startup, true), vec![1]),
        (pod("Always").running(4).running(0).probed(0, ProbeKind::Startup, true).exited(1, 0), vec![2]),
        (pod("Always").running(4).running(0).probed(0, ProbeKind::Startup, true).exited(1, 0).running(2), vec![3]),
    ] {
        assert_eq!(story.starts(), expected, "{:?}", story.observed.containers);
    }
}

#[test]
fn a_sidecar_is_always_started_again_and_holds_up_nothing_that_began_after_it() {
    let story = pod("Never").running(4).running(0).probed(0, ProbeKind::Startup, true).running(1).ended(0, 0);
    assert_eq!(story.starts(), [0], "while an init container behind it runs");
    let story = story.running(0).ended(1, 0);
    assert_eq!(story.starts(), [2], "though it has not started up again");
    assert_eq!(started("Never").ended(0, 1).starts(), [0], "beside the main containers");
    assert_eq!(started("Never").ended(2, 1).failing(2, NotStarted::ImagePull).ended(3, 1).starts(), [0usize; 0]);
}

#[test]
fn sidecars_end_after_the_main_containers_and_the_last_one_first() {
    let story = started("Always").deleted(30).settled();
    let until = story.at(30);
    assert_eq!(stops(&story), [3, 4]);
    assert_eq!(story.plan().wake, Some(until));
    let told = |story: Story, slot| story.stopping(slot, until, StopStep::Told);
    let story = told(told(story, 3), 4);
    assert_eq!(stops(&story), [0usize; 0]);
    let story = story.ended(3, 0);
    assert_eq!(stops(&story), [2], "an ephemeral container is not waited for");
    let story = told(story, 2).ended(2, 0);
    assert_eq!(stops(&story), [0]);
    assert_eq!(stops(&started("Always").deleted(0)), [0, 2, 3, 4], "without a grace there are no turns");
}

#[test]
fn a_sidecars_pre_stop_hook_does_not_wait_for_its_turn() {
    let mut story = started("Always");
    let hook = json!({"preStop": {"sleep": {"seconds": 1}}});
    let sidecars = story.pod.spec.as_mut().unwrap().init_containers.as_mut().unwrap();
    sidecars[0].lifecycle = Some(serde_json::from_value(hook).unwrap());
    let story = story.deleted(30).settled();
    let until = story.at(30);
    let hook = Action::PreStop { slot: Slot(0), until, why: StopReason::PodEnds };
    assert!(story.plan().actions.contains(&hook));
    let story = story.stopping(0, until, StopStep::PreStopped);
    assert_eq!(stops(&story), [3, 4]);
    let story = story.ended(4, 0).ended(3, 0).ended(2, 0);
    assert_eq!(stops(&story), [0]);
}

#[test]
fn a_completed_pod_ends_its_sidecars_and_ephemeral_containers() {
    let story = started("Never").ended(3, 0);
    assert_eq!(stops(&story), [2, 4]);
    let told = story.settled();
    let until = told.observed.ending.unwrap();
    let told = told.stopping(2, until, StopStep::Told).stopping(4, until, StopStep::Told);
    assert_eq!(told.ended(4, 137).ended(2, 137).starts(), [0usize; 0], "they are not started again");
    assert_eq!(stops(&started("Always").ended(3, 0)), [0usize; 0], "one that goes on keeps them");
}

#[test]
fn an_ephemeral_container_runs_once() {
    for policy in ["Always", "OnFailure", "Never"] {
        assert_eq!(started(policy).ended(4, 1).starts(), [0usize; 0]);
    }
    let mut later = started("Always");
    later.pod.spec.as_mut().unwrap().ephemeral_containers.as_mut().unwrap().push(Default::default());
    later.observed.containers.push(Default::default());
    assert_eq!(later.starts(), [5]);
}
