//! Pods that are given other resources while they run.

use serde_json::{Value, json};

use super::Story;
use crate::clock::after;
use crate::pods::happened::Change;
use crate::pods::observed::StopReason;
use crate::pods::plan::Action;
use crate::pods::resize::{Unfulfilled, Why};
use crate::pods::slot::Slot;
use crate::pods::status::status;

fn resources(cpu: &str) -> Value {
    json!({"limits": {"cpu": cpu}, "requests": {"cpu": cpu}})
}

fn story() -> Story {
    Story::new(json!({"containers": [{"name": "a", "image": "i", "resources": resources("1")}]})).running(0)
}

fn wishing(mut story: Story, cpu: &str) -> Story {
    let container = &mut story.pod.spec.as_mut().unwrap().containers[0];
    container.resources = Some(serde_json::from_value(resources(cpu)).unwrap());
    story.pod.metadata.generation = story.pod.metadata.generation.map(|generation| generation + 1);
    story
}

fn unfulfilled(story: Story, why: Why, retry: Option<u64>) -> Story {
    let unfulfilled = Unfulfilled {
        why,
        message: "words".into(),
        generation: story.pod.metadata.generation,
        retry_at: retry.map(|seconds| story.at(seconds)),
    };
    story.apply(Change::Resized(Some(unfulfilled)))
}

fn given(story: Story, cpu: &str) -> Story {
    let given = serde_json::from_value(resources(cpu)).unwrap();
    story.apply(Change::Given { slot: Slot(0), given }).apply(Change::Resized(None))
}

fn reported(story: &Story) -> Value {
    let host = "127.0.0.1".parse().unwrap();
    json!(status(&story.pod, &story.observed, &Default::default(), host, story.now))
}

#[test]
fn a_wish_is_looked_at_once_and_again_when_it_may_help() {
    assert_eq!(story().plan().actions, []);
    let wishing = || wishing(story(), "2");
    assert_eq!(wishing().plan().actions, [Action::Resize]);
    assert_eq!(given(wishing(), "2").plan().actions, []);

    let deferred = unfulfilled(wishing(), Why::Deferred, Some(10));
    assert_eq!((deferred.plan().actions.len(), deferred.plan().wake), (0, Some(deferred.at(10))));
    assert_eq!(deferred.later(10).plan().actions, [Action::Resize]);

    let infeasible = unfulfilled(wishing(), Why::Infeasible, None);
    assert_eq!((infeasible.plan().actions.len(), infeasible.plan().wake), (0, None));
    let another = super::resizes::wishing(infeasible, "1");
    assert_eq!(another.plan().actions, [Action::Resize], "another wish is looked at anew");
}

#[test]
fn a_container_that_wants_to_is_started_anew_whatever_its_policy() {
    let mut story = wishing(story(), "2").apply(Change::MustRestart(Slot(0)));
    story.pod.spec.as_mut().unwrap().restart_policy = Some("OnFailure".into());
    let until = after(story.now, std::time::Duration::from_secs(30));
    let stop = Action::Stop { slot: Slot(0), until, why: StopReason::Resized };
    assert_eq!(story.plan().actions, [stop]);
    let stopping = crate::pods::observed::Stopping {
        why: StopReason::Resized,
        until,
        step: crate::pods::observed::StopStep::Told,
    };
    let story = story.apply(Change::Stopping { slot: Slot(0), stopping }).ended(0, 0);
    assert_eq!(story.starts(), [0]);
}

#[test]
fn one_that_ended_is_started_with_what_is_set_aside_and_its_wish_waits() {
    let deferred = || unfulfilled(wishing(story(), "2"), Why::Deferred, Some(10)).ended(0, 1);
    let restarts = deferred().plan();
    assert_eq!(restarts.actions, [Action::Start(Slot(0))], "not the resize");
    let status = &reported(&deferred())["containerStatuses"][0];
    assert_eq!((&status["resources"], &status["allocatedResources"]["cpu"]), (&resources("1"), &json!("1")));

    let allocated = serde_json::from_value(resources("2")).unwrap();
    let admitted = deferred().apply(Change::Allocated { slot: Slot(0), allocated }).apply(Change::Resized(None));
    assert_eq!(reported(&admitted)["containerStatuses"][0]["resources"], resources("2"));
}

#[test]
fn after_a_restart_of_the_node_what_was_reported_is_set_aside() {
    let mut before = unfulfilled(wishing(story(), "2"), Why::Infeasible, None);
    before.pod.status = Some(serde_json::from_value(reported(&before)).unwrap());
    let mut observed = crate::pods::recover::observed(&before.pod, before.now);
    observed.ip = before.observed.ip;
    let after = Story { observed, ..before };
    let allocated = after.observed.containers[0].allocated.clone();
    assert_eq!(json!(allocated), resources("1"));
    assert_eq!(
        after.plan().actions,
        [Action::Resize, Action::Start(Slot(0))],
        "whether there is room is found out first"
    );
}

#[test]
fn the_status_says_what_it_has_and_what_keeps_it_from_more() {
    let pending = reported(&unfulfilled(wishing(story(), "2"), Why::Deferred, Some(10)));
    let container = &pending["containerStatuses"][0];
    assert_eq!((&container["resources"], &container["allocatedResources"]["cpu"]), (&resources("1"), &json!("1")));
    let condition = pending["conditions"].as_array().unwrap().last().unwrap().clone();
    let said = ["type", "status", "reason", "message"].map(|field| condition[field].as_str().unwrap().to_owned());
    assert_eq!(said, ["PodResizePending", "True", "Deferred", "words"]);

    let done = reported(&given(wishing(story(), "2"), "2"));
    assert_eq!(done["containerStatuses"][0]["resources"], resources("2"));
    assert!(!done["conditions"].to_string().contains("PodResize"), "{done}");
}
