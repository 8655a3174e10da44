//! Which nodes a selector means: those that a volume can be used on, or that a Pod asks for.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{NodeSelector, NodeSelectorRequirement, NodeSelectorTerm};

/// What a selector looks at.
#[derive(Clone, Copy, Debug)]
pub struct NodeView<'a> {
    /// The node's name, the one field that terms may ask for.
    pub name: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
}

/// Whether any term of a selector matches the node.
pub fn any_term(selector: &NodeSelector, node: NodeView<'_>) -> bool {
    selector.node_selector_terms.iter().any(|term| matches(term, node))
}

/// Whether the node meets all requirements of a term; a term without any matches nothing.
pub fn matches(term: &NodeSelectorTerm, node: NodeView<'_>) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    if expressions.is_empty() && fields.is_empty() {
        return false;
    }
    let label = |name: &str| node.labels.get(name).map(String::as_str);
    let field = |name: &str| (name == "metadata.name").then_some(node.name);
    expressions.iter().all(|requirement| meets(requirement, label(&requirement.key)))
        && fields.iter().all(|requirement| meets(requirement, field(&requirement.key)))
}

fn meets(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let listed = || value.is_some_and(|value| values.iter().any(|listed| listed == value));
    let numbers = || Some((value?.parse::<i64>().ok()?, values.first()?.parse::<i64>().ok()?));
    match requirement.operator.as_str() {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => numbers().is_some_and(|(value, bound)| value > bound),
        "Lt" => numbers().is_some_and(|(value, bound)| value < bound),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> NodeView<'_> {
        const NONE: &BTreeMap<String, String> = &BTreeMap::new();
        NodeView { name, labels: NONE }
    }

    #[test]
    fn operators() {
        let cases = [
            ("In", &["a", "b"][..], Some("a"), true),
            ("In", &["a"], None, false),
            ("NotIn", &["a"], Some("a"), false),
            ("NotIn", &["a"], None, true),
            ("Exists", &[], Some(""), true),
            ("Exists", &[], None, false),
            ("DoesNotExist", &[], None, true),
            ("Gt", &["5"], Some("6"), true),
            ("Gt", &["5"], Some("5"), false),
            ("Gt", &["5"], Some("many"), false),
            ("Lt", &["5"], Some("4"), true),
            ("Lt", &["5"], None, false),
            ("Resembles", &["a"], Some("a"), false),
        ];
        for (operator, values, value, expected) in cases {
            let requirement = NodeSelectorRequirement {
                key: "k".into(),
                operator: operator.into(),
                values: Some(values.iter().map(|value| (*value).to_owned()).collect()),
            };
            assert_eq!(meets(&requirement, value), expected, "{operator} {values:?} {value:?}");
        }
    }

    #[test]
    fn an_empty_term_matches_nothing() {
        assert!(!matches(&NodeSelectorTerm::default(), named("a")));
    }

    #[test]
    fn a_field_names_the_node() {
        let requirement = NodeSelectorRequirement {
            key: "metadata.name".into(),
            operator: "In".into(),
            values: Some(vec!["a".into()]),
        };
        let term = NodeSelectorTerm { match_fields: Some(vec![requirement]), ..Default::default() };
        assert!(matches(&term, named("a")));
        assert!(!matches(&term, named("b")));
    }
}
