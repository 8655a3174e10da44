use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

pub(crate) type Labels = BTreeMap<String, String>;

/// A label selector: every requirement must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
    /// An operator that the API does not know selects nothing.
    Never,
}

impl Selector {
    pub(crate) fn new(selector: &LabelSelector) -> Selector {
        let equal = |(key, value): (&String, &String)| Requirement::In(key.clone(), vec![value.clone()]);
        let equalities = selector.match_labels.iter().flatten().map(equal);
        Selector(equalities.chain(selector.match_expressions.iter().flatten().map(requirement)).collect())
    }

    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|requirement| requirement.holds(labels))
    }
}

fn requirement(requirement: &LabelSelectorRequirement) -> Requirement {
    let (key, values) = (requirement.key.clone(), requirement.values.clone().unwrap_or_default());
    match requirement.operator.as_str() {
        "In" => Requirement::In(key, values),
        "NotIn" => Requirement::NotIn(key, values),
        "Exists" => Requirement::Exists(key),
        "DoesNotExist" => Requirement::Absent(key),
        _ => Requirement::Never,
    }
}

impl Requirement {
    fn holds(&self, labels: &Labels) -> bool {
        match self {
            Requirement::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::NotIn(key, values) => !labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::Absent(key) => !labels.contains_key(key),
            Requirement::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    #[test]
    fn every_requirement_must_hold() {
        let labels: Labels = [("app", "web"), ("env", "prod")].map(|(k, v)| (k.into(), v.into())).into();
        let expression = |operator: &str, key: &str, values: Value| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        let cases = [
            (json!({}), true),
            (json!({"matchLabels": {"app": "web"}}), true),
            (json!({"matchLabels": {"app": "web", "env": "dev"}}), false),
            (expression("In", "env", json!(["dev", "prod"])), true),
            (expression("In", "tier", json!(["a"])), false),
            (expression("NotIn", "env", json!(["prod"])), false),
            (expression("NotIn", "tier", json!(["a"])), true),
            (expression("Exists", "env", Value::Null), true),
            (expression("DoesNotExist", "env", Value::Null), false),
            (expression("Like", "env", json!(["prod"])), false),
        ];
        for (selector, matches) in cases {
            let read = Selector::new(&from_value(selector.clone()).unwrap());
            assert_eq!(read.matches(&labels), matches, "{selector}");
        }
    }
}
