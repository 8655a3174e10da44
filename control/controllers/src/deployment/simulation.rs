//! Rolling updates in a small world of their own: whatever the order of things, never too few and never too many.

use std::collections::HashSet;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A Deployment, its sets, and each set's Pods (whether each is ready). A set's status speaks of the generation that
/// its controller acted on last, which the label `acted` keeps.
struct World {
    deployment: Deployment,
    sets: Vec<(ReplicaSet, Vec<bool>)>,
    age: i64,
    /// Once all Pods were available: only from then on there is something to lose.
    was_up: bool,
}

impl World {
    fn new(replicas: i32, surge: i32, unavailable: i32) -> Self {
        let deployment = serde_json::from_value(json!({
            "metadata": { "name": "web", "namespace": "ns", "uid": "d", "generation": 1 },
            "spec": {
                "replicas": replicas, "selector": { "matchLabels": { "app": "web" } }, "progressDeadlineSeconds": 600,
                "revisionHistoryLimit": 2,
                "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": surge, "maxUnavailable": unavailable } },
                "template": { "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [{ "name": "c", "image": "v0" }] } },
            },
        }));
        Self { deployment: deployment.unwrap(), sets: Vec::new(), age: 0, was_up: false }
    }

    fn set_image(&mut self, version: u8) {
        let spec = self.deployment.spec.template.spec.as_mut().unwrap();
        spec.containers[0].image = Some(format!("v{version}"));
        *self.deployment.metadata.generation.as_mut().unwrap() += 1;
    }

    fn limits(&self) -> Limits {
        Limits::of(&self.deployment)
    }

    /// The deployment controller runs once.
    fn step(&mut self) -> bool {
        let observed = Observed {
            deployment: Arc::new(self.deployment.clone()),
            sets: self.sets.iter().map(|(set, _)| Arc::new(set.clone())).collect(),
            running: HashSet::new(),
        };
        let plan = plan(&observed, Timestamp::UNIX_EPOCH);
        let changed = !plan.actions.is_empty() || self.deployment.status.as_ref() != Some(&plan.status);
        self.deployment.status = Some(plan.status);
        for action in plan.actions {
            self.execute(action);
        }
        self.check();
        changed
    }

    fn execute(&mut self, action: Action) {
        match action {
            Action::Create(mut set) => {
                self.age += 1;
                set.metadata.uid = set.metadata.name.clone();
                set.metadata.generation = Some(1);
                set.metadata.creation_timestamp =
                    serde_json::from_value(json!(Timestamp::from_second(self.age).unwrap())).unwrap();
                assert!(self.sets.iter().all(|(other, _)| other.metadata.name != set.metadata.name), "made twice");
                self.sets.push((*set, Vec::new()));
            }
            Action::Update { set, annotations, .. } => {
                self.set(&set).metadata.annotations.as_mut().unwrap().extend(annotations)
            }
            Action::Resize { set, replicas, annotations } => {
                let set = self.set(&set);
                set.spec.replicas = Some(replicas);
                set.metadata.annotations.as_mut().unwrap().extend(annotations);
                *set.metadata.generation.as_mut().unwrap() += 1;
            }
            Action::Delete(set) => {
                let pods = &self.sets.iter().find(|(other, _)| other.metadata.uid == set.metadata.uid).unwrap().1;
                assert!(pods.is_empty(), "a set with Pods is not history");
                self.sets.retain(|(other, _)| other.metadata.uid != set.metadata.uid);
            }
            Action::SetRevision(revision) => {
                self.deployment.metadata.annotations.get_or_insert_default().insert(REVISION.into(), revision);
            }
        }
    }

    fn set(&mut self, set: &ReplicaSet) -> &mut ReplicaSet {
        &mut self.sets.iter_mut().find(|(other, _)| other.metadata.uid == set.metadata.uid).unwrap().0
    }

    /// The ReplicaSet controller runs once for one set: what is not ready goes first.
    fn settle(&mut self, index: usize) {
        let count = self.sets.len().max(1);
        if let Some((set, pods)) = self.sets.get_mut(index % count) {
            let size = usize::try_from(replicas(set)).unwrap();
            pods.sort_by_key(|ready| std::cmp::Reverse(*ready));
            pods.resize(size, false);
            set.metadata
                .labels
                .get_or_insert_default()
                .insert("acted".into(), set.metadata.generation.unwrap().to_string());
        }
        self.check();
    }

    /// One set's status is written, at last.
    fn report(&mut self, index: usize) {
        let count = self.sets.len().max(1);
        if let Some((set, pods)) = self.sets.get_mut(index % count) {
            let ready = i32::try_from(pods.iter().filter(|ready| **ready).count()).unwrap();
            set.status = Some(ReplicaSetStatus {
                replicas: i32::try_from(pods.len()).unwrap(),
                ready_replicas: Some(ready),
                available_replicas: Some(ready),
                observed_generation: set.labels().get("acted").map_or(Some(0), |acted| acted.parse().ok()),
                ..Default::default()
            });
        }
    }

    /// One Pod becomes ready, and the statuses say so. (What the statuses do not say, no plan can spare: it takes
    /// unavailable Pods first, and trusts the statuses in that. What is late here is the news of Pods that are gone.)
    fn become_ready(&mut self, index: usize) {
        let mut pods: Vec<&mut bool> =
            self.sets.iter_mut().flat_map(|(_, pods)| pods).filter(|ready| !**ready).collect();
        let count = pods.len().max(1);
        if let Some(ready) = pods.get_mut(index % count) {
            **ready = true;
        }
        (0..self.sets.len()).for_each(|index| self.report(index));
        self.was_up |= self.ready_and_wanted() >= self.limits().replicas;
    }

    fn ready(&self) -> i32 {
        i32::try_from(self.sets.iter().flat_map(|(_, pods)| pods).filter(|ready| **ready).count()).unwrap()
    }

    /// Without the Pods that are told to go already.
    fn ready_and_wanted(&self) -> i32 {
        let ready = |pods: &[bool]| i32::try_from(pods.iter().filter(|ready| **ready).count()).unwrap();
        self.sets.iter().map(|(set, pods)| ready(pods).min(replicas(set))).sum()
    }

    fn check(&self) {
        let limits = self.limits();
        let told: i32 = self.sets.iter().map(|(set, _)| replicas(set)).sum();
        assert!(told <= limits.most(), "{told} Pods are more than {limits:?}");
        if self.was_up {
            assert!(self.ready() >= limits.least_available(), "{} ready are fewer than {limits:?}", self.ready());
        }
    }

    /// Everybody does their work until nothing changes.
    fn converge(&mut self) {
        let mut quiet = 0;
        for _ in 0..500 {
            let changed = self.step();
            for index in 0..self.sets.len() {
                self.settle(index);
                self.report(index);
            }
            let unready = self.sets.iter().flat_map(|(_, pods)| pods).any(|ready| !ready);
            self.become_ready(0);
            quiet = if changed || unready { 0 } else { quiet + 1 };
            if quiet == 3 {
                return;
            }
        }
        panic!("does not converge");
    }
}

#[derive(Clone, Debug)]
enum Event {
    Image(u8),
    Step,
    Settle(usize),
    Report(usize),
    Ready(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => (0u8..4).prop_map(Event::Image),
        6 => Just(Event::Step),
        5 => (0usize..8).prop_map(Event::Settle),
        5 => (0usize..8).prop_map(Event::Report),
        8 => (0usize..30).prop_map(Event::Ready),
    ]
}

proptest! {
    #[test]
    fn never_too_few_never_too_many_and_always_there_in_the_end(
        replicas in 0i32..12, surge in 0i32..5, unavailable in 0i32..5,
        events in prop::collection::vec(event(), 0..200),
    ) {
        let mut world = World::new(replicas, surge, unavailable);
        for event in events {
            match event {
                Event::Image(version) => world.set_image(version),
                Event::Step => { world.step(); }
                Event::Settle(index) => world.settle(index),
                Event::Report(index) => world.report(index),
                Event::Ready(index) => world.become_ready(index),
            }
        }
        world.converge();
        let active: Vec<_> = world.sets.iter().filter(|(_, pods)| !pods.is_empty()).collect();
        prop_assert_eq!(world.ready(), replicas);
        prop_assert!(active.len() <= 1);
        prop_assert!(world.sets.len() <= 3, "two old revisions are kept, not {}", world.sets.len() - 1);
        let status = world.deployment.status.clone().unwrap();
        prop_assert!(is_complete(&world.deployment, &status));
        prop_assert_eq!(condition(&status, PROGRESSING).unwrap().reason.as_deref(), Some("NewReplicaSetAvailable"));
    }
}
