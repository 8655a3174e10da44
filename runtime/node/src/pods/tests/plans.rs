use serde_json::json;

use super::Story;
use crate::pods::observed::NotStarted;
use crate::pods::plan::Action;

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
    assert_eq!(story.plan().actions, [Action::AssignIp]);
}

#[test]
fn containers_start_in_order_and_one_that_fails_holds_up_none() {
    assert_eq!(two().starts(), [0]);
    assert_eq!(two().starting(0).starts(), [0usize; 0]);
    assert_eq!(two().running(0).starts(), [1]);
    assert_eq!(two().failing(0, NotStarted::ImagePull).starts(), [1]);
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
        assert_eq!(story.starts(), expected, "{:?}", story.observed.containers);
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
        assert_eq!(!Story::single(policy).exited(0, code).starts().is_empty(), restarts, "{policy} {code}");
    }
}

#[test]
fn a_crash_loop_waits_longer_each_time() {
    // The first restart is at once, the second after 10 seconds.
    let story = Story::single("Always").exited(0, 1).exited(0, 1);
    let planned = story.plan();
    assert_eq!((planned.actions, planned.wake), (vec![], Some(story.at(10))));
    let story = story.later(10);
    assert_eq!(story.starts(), [0]);
    let story = story.exited(0, 1);
    assert_eq!(story.plan().wake, Some(story.at(20)));

    let recovered = story.later(20).running(0).later(601).ended(0, 1);
    assert_eq!(recovered.starts(), [0], "a long run is no crash loop");
}

#[test]
fn a_failed_start_is_tried_again_later() {
    let story = Story::single("Never").failing(0, NotStarted::ImagePull);
    assert_eq!((story.plan().actions, story.plan().wake), (vec![], Some(story.at(10))));
    let story = story.later(10);
    assert_eq!(story.starts(), [0]);
    let story = story.failing(0, NotStarted::ImagePull).later(10).failing(0, NotStarted::ImagePull);
    assert_eq!(story.plan().wake, Some(story.at(20)));
}
