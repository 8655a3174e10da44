//! Which Ingresses are ours, from what is known of them and of their classes. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::rules::{ClassChange, IngressChange, Rules};
use crate::table::ObjectName;

/// What is known of Ingresses and their classes.
#[derive(Debug)]
pub(crate) struct State {
    /// The controller whose classes are ours.
    controller: String,
    ingresses: BTreeMap<ObjectName, Rules>,
    /// The controller of each class.
    classes: HashMap<String, String>,
}

impl State {
    pub(crate) fn new(controller: String) -> State {
        State { controller, ingresses: BTreeMap::new(), classes: HashMap::new() }
    }

    pub(crate) fn ingress(&mut self, change: IngressChange) {
        match change {
            IngressChange::Present(rules) => drop(self.ingresses.insert(rules.name.clone(), *rules)),
            IngressChange::Gone(name) => drop(self.ingresses.remove(&name)),
        }
    }

    pub(crate) fn class(&mut self, change: ClassChange) {
        match change {
            ClassChange::Present(name, controller) => drop(self.classes.insert(name, controller)),
            ClassChange::Gone(name) => drop(self.classes.remove(&name)),
        }
    }

    /// Those that are ours, the oldest first.
    pub(crate) fn ours(&self) -> Vec<&Rules> {
        let is_ours = |rules: &&Rules| {
            let controller = rules.class.as_ref().and_then(|class| self.classes.get(class));
            controller == Some(&self.controller)
        };
        let mut ours: Vec<&Rules> = self.ingresses.values().filter(is_ours).collect();
        ours.sort_by(|one, other| one.age.cmp(&other.age));
        ours
    }

    /// The Secrets that they name.
    pub(crate) fn secrets(ours: &[&Rules]) -> HashSet<ObjectName> {
        ours.iter().flat_map(|rules| &rules.tls).map(|tls| tls.secret.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::networking::v1::Ingress;
    use serde_json::{from_value, json};

    use super::*;
    use crate::ingress::rules::read;

    fn ingress(name: &str, class: Option<&str>, annotation: Option<&str>, day: u32) -> IngressChange {
        let annotations = annotation.map(|class| json!({"kubernetes.io/ingress.class": class}));
        let object: Ingress = from_value(json!({
            "metadata": {
                "namespace": "default", "name": name, "annotations": annotations,
                "creationTimestamp": format!("2026-01-{day:02}T00:00:00Z"),
            },
            "spec": {"ingressClassName": class, "tls": [{"hosts": ["a"], "secretName": name}]},
        }))
        .unwrap();
        IngressChange::Present(Box::new(read(&object)))
    }

    fn ours(state: &State) -> Vec<&str> {
        state.ours().iter().map(|rules| &*rules.name.name).collect()
    }

    #[test]
    fn only_ingresses_of_classes_of_the_controller_are_ours_the_oldest_first() {
        let mut state = State::new("carob.dev/ingress".into());
        state.ingress(ingress("young", Some("carob"), None, 9));
        state.ingress(ingress("old", Some("carob"), None, 1));
        state.ingress(ingress("annotated", None, Some("carob"), 5));
        state.ingress(ingress("others", Some("nginx"), Some("carob"), 2));
        state.ingress(ingress("classless", None, None, 2));
        assert_eq!(ours(&state), [""; 0], "no class is known yet");
        state.class(ClassChange::Present("carob".into(), "carob.dev/ingress".into()));
        state.class(ClassChange::Present("nginx".into(), "k8s.io/ingress-nginx".into()));
        assert_eq!(ours(&state), ["old", "annotated", "young"]);
        let secrets = State::secrets(&state.ours());
        assert_eq!(secrets.len(), 3);
        state.ingress(IngressChange::Gone(ObjectName { namespace: "default".into(), name: "old".into() }));
        assert_eq!(ours(&state), ["annotated", "young"]);
        state.class(ClassChange::Gone("carob".into()));
        assert_eq!(ours(&state), [""; 0]);
    }
}
