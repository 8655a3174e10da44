use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Schemas;

fn strategic(kind: (&str, &str, &str), current: &Value, patch: &Value) -> Result<Value, PatchError> {
    let schemas = Schemas::builtin();
    let ty = schemas.of(kind.0, kind.1, kind.2).unwrap();
    schemas.strategic_merge(ty, current, patch)
}

const POD: (&str, &str, &str) = ("", "v1", "Pod");
const DEPLOYMENT: (&str, &str, &str) = ("apps", "v1", "Deployment");
const SERVICE: (&str, &str, &str) = ("", "v1", "Service");

struct Case {
    name: &'static str,
    kind: (&'static str, &'static str, &'static str),
    current: Value,
    patch: Value,
    expected: Value,
}

fn cases() -> Vec<Case> {
    let mut cases = objects();
    cases.extend(lists_of_objects());
    cases.extend(ordered_lists());
    cases.extend(lists_of_scalars());
    cases
}

fn spec(spec: Value) -> Value {
    json!({ "spec": spec })
}

fn objects() -> Vec<Case> {
    vec![
        Case {
            name: "objects are merged, null removes, scalars are replaced",
            kind: POD,
            current: json!({"metadata": {"name": "a", "labels": {"a": "1", "b": "2"}}}),
            patch: json!({"metadata": {"labels": {"a": null, "c": "3", "d": null}}}),
            expected: json!({"metadata": {"name": "a", "labels": {"b": "2", "c": "3"}}}),
        },
        Case {
            name: "$patch: replace replaces the object",
            kind: POD,
            current: json!({"metadata": {"labels": {"a": "1", "b": "2"}}}),
            patch: json!({"metadata": {"labels": {"$patch": "replace", "c": "3"}}}),
            expected: json!({"metadata": {"labels": {"c": "3"}}}),
        },
        Case {
            name: "$patch: delete empties the object",
            kind: POD,
            current: json!({"metadata": {"labels": {"a": "1"}}}),
            patch: json!({"metadata": {"labels": {"$patch": "delete"}}}),
            expected: json!({"metadata": {"labels": {}}}),
        },
        Case {
            name: "$retainKeys drops what it does not name",
            kind: DEPLOYMENT,
            current: spec(json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}})),
            patch: spec(json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}})),
            expected: spec(json!({"strategy": {"type": "Recreate"}})),
        },
        Case {
            name: "$retainKeys where nothing was leaves no trace",
            kind: DEPLOYMENT,
            current: spec(json!({})),
            patch: spec(json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}})),
            expected: spec(json!({"strategy": {"type": "Recreate"}})),
        },
        Case {
            name: "a disruption budget's selector is replaced",
            kind: ("policy", "v1", "PodDisruptionBudget"),
            current: spec(json!({"selector": {"matchLabels": {"a": "1"}}})),
            patch: spec(json!({"selector": {"matchLabels": {"b": "1"}}})),
            expected: spec(json!({"selector": {"matchLabels": {"b": "1"}}})),
        },
        Case {
            name: "a service's selector is merged, though server-side apply calls it atomic",
            kind: SERVICE,
            current: spec(json!({"selector": {"a": "1"}})),
            patch: spec(json!({"selector": {"b": "2"}})),
            expected: spec(json!({"selector": {"a": "1", "b": "2"}})),
        },
        Case {
            name: "another type of JSON replaces",
            kind: DEPLOYMENT,
            current: spec(json!({"strategy": {"rollingUpdate": {"maxSurge": "25%"}}})),
            patch: spec(json!({"strategy": {"rollingUpdate": {"maxSurge": 1}}})),
            expected: spec(json!({"strategy": {"rollingUpdate": {"maxSurge": 1}}})),
        },
    ]
}

fn lists_of_objects() -> Vec<Case> {
    vec![
        Case {
            name: "containers are merged by name, the patch's first",
            kind: DEPLOYMENT,
            current: spec(json!({"template": {"spec": {"containers": [
                {"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}]}, {"name": "b", "image": "b:1"}]}}})),
            patch: spec(json!({"template": {"spec": {"containers": [
                {"name": "b", "image": "b:2"}, {"name": "a", "env": [{"name": "Y", "value": "2"}]}]}}})),
            expected: spec(json!({"template": {"spec": {"containers": [
                {"name": "b", "image": "b:2"},
                {"name": "a", "image": "a:1", "env": [{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}]}]}}})),
        },
        Case {
            name: "what the patch adds comes before what it does not name, as in Kubernetes",
            kind: POD,
            current: spec(json!({"containers": [{"name": "a"}]})),
            patch: spec(json!({"containers": [{"name": "b", "image": null, "command": ["x"]}]})),
            expected: spec(json!({"containers": [{"name": "b", "command": ["x"]}, {"name": "a"}]})),
        },
        Case {
            name: "$patch: delete removes one item",
            kind: POD,
            current: spec(json!({"containers": [{"name": "a"}, {"name": "b"}]})),
            patch: spec(json!({"containers": [{"name": "a", "$patch": "delete"}]})),
            expected: spec(json!({"containers": [{"name": "b"}]})),
        },
        Case {
            name: "$patch: replace among the items replaces the list",
            kind: POD,
            current: spec(json!({"containers": [{"name": "a"}, {"name": "b"}]})),
            patch: spec(json!({"containers": [{"$patch": "replace"}, {"name": "c"}]})),
            expected: spec(json!({"containers": [{"name": "c"}]})),
        },
        Case {
            name: "ports are merged by number",
            kind: SERVICE,
            current: spec(json!({"ports": [{"port": 80, "name": "http"}, {"port": 443, "name": "https"}]})),
            patch: spec(json!({"ports": [{"port": 80, "nodePort": 30080}, {"port": 443, "$patch": "delete"}]})),
            expected: spec(json!({"ports": [{"port": 80, "name": "http", "nodePort": 30080}]})),
        },
        Case {
            name: "a list without a merge key is replaced",
            kind: POD,
            current: spec(json!({"tolerations": [{"key": "a"}]})),
            patch: spec(json!({"tolerations": [{"key": "b"}]})),
            expected: spec(json!({"tolerations": [{"key": "b"}]})),
        },
        Case {
            name: "a volume's source is exchanged by $retainKeys",
            kind: POD,
            current: spec(json!({"volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {}}]})),
            patch: spec(
                json!({"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/"}}]}),
            ),
            expected: spec(
                json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}, {"name": "w", "emptyDir": {}}]}),
            ),
        },
        Case {
            name: "a condition is merged by its type",
            kind: POD,
            current: json!({"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "x"}]}}),
            patch: json!({"status": {"conditions": [{"type": "Ready", "status": "True", "reason": null}]}}),
            expected: json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}),
        },
    ]
}

fn ordered_lists() -> Vec<Case> {
    vec![
        Case {
            name: "$setElementOrder alone reorders",
            kind: POD,
            current: spec(json!({"containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}]})),
            patch: spec(json!({"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}, {"name": "b"}]})),
            expected: spec(json!({"containers": [{"name": "c"}, {"name": "a"}, {"name": "b"}]})),
        },
        Case {
            name: "what only the server has keeps its place (kubectl apply beside a sidecar injector)",
            kind: POD,
            current: spec(json!({"containers": [{"name": "sidecar"}, {"name": "a"}, {"name": "b"}]})),
            patch: spec(json!({
                "$setElementOrder/containers": [{"name": "a"}, {"name": "new"}],
                "containers": [{"name": "new", "image": "n"}, {"name": "b", "$patch": "delete"}]})),
            expected: spec(json!({"containers": [{"name": "sidecar"}, {"name": "a"}, {"name": "new", "image": "n"}]})),
        },
        Case {
            name: "kubectl apply adds the first list",
            kind: POD,
            current: spec(json!({"containers": [{"name": "a"}]})),
            patch: spec(json!({
                "$setElementOrder/containers": [{"name": "a"}],
                "containers": [{"name": "a", "$setElementOrder/env": [{"name": "Y"}, {"name": "X"}],
                    "env": [{"name": "Y"}, {"name": "X"}]}]})),
            expected: spec(json!({"containers": [{"name": "a", "env": [{"name": "Y"}, {"name": "X"}]}]})),
        },
        Case {
            name: "finalizers: deletion and order in one patch",
            kind: POD,
            current: json!({"metadata": {"finalizers": ["a", "b", "c"]}}),
            patch: json!({"metadata": {
                "$deleteFromPrimitiveList/finalizers": ["b"], "$setElementOrder/finalizers": ["c", "d", "a"],
                "finalizers": ["d"]}}),
            expected: json!({"metadata": {"finalizers": ["c", "d", "a"]}}),
        },
    ]
}

fn lists_of_scalars() -> Vec<Case> {
    vec![
        Case {
            name: "finalizers are a set",
            kind: POD,
            current: json!({"metadata": {"finalizers": ["a", "b"]}}),
            patch: json!({"metadata": {"finalizers": ["b", "c"]}}),
            expected: json!({"metadata": {"finalizers": ["a", "b", "c"]}}),
        },
        Case {
            name: "$deleteFromPrimitiveList removes values",
            kind: POD,
            current: json!({"metadata": {"finalizers": ["a", "b"]}}),
            patch: json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "z"]}}),
            expected: json!({"metadata": {"finalizers": ["b"]}}),
        },
        Case {
            name: "a command is replaced",
            kind: POD,
            current: spec(json!({"containers": [{"name": "a", "args": ["1", "2"]}]})),
            patch: spec(json!({"containers": [{"name": "a", "args": ["3"]}]})),
            expected: spec(json!({"containers": [{"name": "a", "args": ["3"]}]})),
        },
        Case {
            name: "an endpoint's addresses are replaced, though server-side apply calls them a set",
            kind: ("discovery.k8s.io", "v1", "EndpointSlice"),
            current: json!({"endpoints": [{"addresses": ["10.0.0.1"]}]}),
            patch: json!({"endpoints": [{"addresses": ["10.0.0.2"]}]}),
            expected: json!({"endpoints": [{"addresses": ["10.0.0.2"]}]}),
        },
    ]
}

#[test]
fn strategic_merge_follows_the_directives() {
    for case in cases() {
        let merged = strategic(case.kind, &case.current, &case.patch);
        assert_eq!(merged, Ok(case.expected), "{}", case.name);
    }
}

#[test]
fn a_wrong_strategic_patch_says_what_is_wrong() {
    let current = spec(json!({"containers": [{"name": "a"}], "strategy": {}}));
    for (patch, words) in [
        (json!([]), "is a JSON object"),
        (json!({"$patch": "explode"}), "unknown patch type \"explode\""),
        (spec(json!({"containers": [{"image": "x"}]})), "does not contain declared merge key: name"),
        (spec(json!({"containers": ["x"]})), "\"x\" is no object"),
        (spec(json!({"containers": [{"$patch": "delete"}]})), "does not contain declared merge key: name"),
        (spec(json!({"containers": [{"name": "a", "$patch": "merge"}]})), "cannot yet be specified"),
        (spec(json!({"$setElementOrder/containers": 1})), "is not a list"),
        (
            spec(json!({"$setElementOrder/containers": [], "containers": [{"name": "a"}]})),
            "doesn't match $setElementOrder",
        ),
        (spec(json!({"$retainKeys": ["x"], "nodeName": "n"})), "does not contain \"nodeName\""),
    ] {
        let error = strategic(POD, &current, &patch).unwrap_err();
        assert!(error.to_string().contains(words), "{patch}: {error}");
        assert!(matches!(error, PatchError::Malformed(_)), "{error:?}");
    }
}

#[test]
fn merge_patch_follows_the_examples_of_the_rfc() {
    for (current, patch, expected) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
        (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
        (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
        (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
    ] {
        assert_eq!(merge(&current, &patch), Ok(expected), "{patch}");
    }
    assert!(matches!(merge(&json!({}), &json!(["a"])), Err(PatchError::Malformed(_))));
}

#[test]
fn json_patch_applies_in_order_or_not_at_all() {
    let current = json!({"a": [1, 2], "b": {"c": 3}});
    let patch = json!([
        {"op": "test", "path": "/a/0", "value": 1},
        {"op": "add", "path": "/a/-", "value": 4},
        {"op": "remove", "path": "/a/0"},
        {"op": "replace", "path": "/b/c", "value": null},
        {"op": "copy", "from": "/a", "path": "/d"},
        {"op": "move", "from": "/b", "path": "/e"},
    ]);
    assert_eq!(json(&current, &patch), Ok(json!({"a": [2, 4], "d": [2, 4], "e": {"c": null}})));
}

#[test]
fn a_wrong_json_patch_says_which_operation_and_why() {
    let current = json!({"a": 1});
    for patch in [json!({}), json!([{"op": "bump", "path": "/a"}]), json!([{"op": "add", "path": "a", "value": 1}])] {
        assert!(matches!(json(&current, &patch), Err(PatchError::Malformed(_))), "{patch}");
    }
    for (patch, words) in [
        (json!([{"op": "test", "path": "/a", "value": 2}]), "operation 0 (test \"/a\")"),
        (json!([{"op": "remove", "path": "/x"}]), "operation 0 (remove \"/x\")"),
        (json!([{"op": "replace", "path": "/x", "value": 1}]), "operation 0 (replace \"/x\")"),
        (json!([{"op": "add", "path": "/x/y", "value": 1}]), "operation 0 (add \"/x/y\")"),
        (json!([{"op": "copy", "from": "/x", "path": "/y"}]), "operation 0 (copy \"/y\")"),
    ] {
        let error = json(&current, &patch).unwrap_err();
        assert!(matches!(&error, PatchError::Unprocessable(text) if text.starts_with(words)), "{patch}: {error}");
    }
}

#[test]
fn a_json_patch_cannot_explode() {
    let many: Vec<Value> = (0..10_001).map(|_| json!({"op": "test", "path": "/a", "value": 1})).collect();
    let error = json(&json!({"a": 1}), &many.into()).unwrap_err();
    assert_eq!(error.to_string(), "The allowed maximum operations in a JSON patch is 10000, got 10001");
    let doubling: Vec<Value> = (0..64).map(|_| json!({"op": "copy", "from": "/a", "path": "/a/-"})).collect();
    assert!(matches!(json(&json!({"a": [1]}), &doubling.into()), Err(PatchError::TooLarge(_))));
    let large = json!({"data": {"a": "x".repeat(1 << 20)}});
    let copies = |n: usize| -> Value {
        (0..n).map(|n| json!({"op": "copy", "from": "/data/a", "path": format!("/data/b{n}")})).collect()
    };
    assert!(json(&large, &copies(2)).is_ok());
    assert!(matches!(json(&large, &copies(3)), Err(PatchError::TooLarge(_))));
    let nesting: Vec<Value> = (0..1000).map(|_| json!({"op": "move", "from": "/a", "path": "/b/a"})).collect();
    assert!(json(&json!({"a": 1, "b": {}}), &nesting.into()).is_err());
    let deep = "/a".repeat(300);
    assert!(matches!(
        json(&json!({}), &json!([{"op": "add", "path": deep, "value": 1}])),
        Err(PatchError::TooLarge(_))
    ));
}

#[test]
fn a_merged_list_cannot_be_endless() {
    let finalizers: Vec<String> = (0..6_000).map(|n| n.to_string()).collect();
    let patch = json!({"metadata": {"finalizers": finalizers}});
    let current = json!({"metadata": {"finalizers": ["a"]}});
    assert!(matches!(strategic(POD, &current, &patch), Err(PatchError::TooLarge(_))));
}

/// Objects and patches out of the words that matter.
fn any_patch() -> impl Strategy<Value = Value> {
    let words = [
        "spec",
        "metadata",
        "containers",
        "name",
        "labels",
        "ports",
        "containerPort",
        "finalizers",
        "volumes",
        "env",
        "$patch",
        "$retainKeys",
        "$setElementOrder/containers",
        "$setElementOrder/finalizers",
        "$deleteFromPrimitiveList/finalizers",
        "$setElementOrder/ports",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        (0..3).prop_map(Value::from),
        prop::sample::select(vec!["replace", "delete", "merge", "a", "b", "name"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(words.to_vec()).prop_map(String::from), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_patch_panics(current in any_patch(), patch in any_patch()) {
        let _ = strategic(POD, &current, &patch);
        let _ = strategic(POD, &json!({"spec": current.clone()}), &json!({"spec": patch.clone()}));
        let _ = merge(&current, &patch);
        let _ = json(&current, &patch);
    }

    #[test]
    fn an_empty_patch_changes_nothing(current in any_patch()) {
        if current.is_object() {
            prop_assert_eq!(strategic(POD, &current, &json!({})), Ok(current.clone()));
            prop_assert_eq!(merge(&current, &json!({})), Ok(current));
        }
    }
}
