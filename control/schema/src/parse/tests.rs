use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn pod() -> TypeRef {
    Schemas::builtin().of("", "v1", "Pod").unwrap()
}

fn parse(json: &str) -> Result<Parsed, ParseError> {
    Schemas::builtin().parse(pod(), json.as_bytes())
}

fn problems(json: &str) -> Vec<String> {
    parse(json).unwrap().problems.iter().map(ToString::to_string).collect()
}

#[test]
fn an_object_that_fits_is_kept_as_it_is() {
    let object = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "a", "labels": {"x": "y"}, "managedFields": [{"fieldsV1": {"f:a": {".": {}}}}]},
        "spec": {
            "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}],
                "livenessProbe": {"httpGet": {"port": "http"}}}],
            "terminationGracePeriodSeconds": 5,
        },
    });
    let parsed = parse(&object.to_string()).unwrap();
    assert_eq!(parsed, Parsed { object: object.clone(), problems: vec![] });
    assert_eq!(Schemas::builtin().parse_value(pod(), object).unwrap(), parsed);
}

#[test]
fn unknown_and_duplicate_fields_are_reported_in_order_and_dropped() {
    let json = r#"{"foo": 1, "metadata": {"name": "a", "labels": {"x": "1", "x": "2"}}, "spec": {"nodeName": "n",
        "nodeName": "m", "containers": [{"name": "c"}, {"name": "d", "imagee": {"a": [1]}, "env": [{"nam": "x"}]}]}}"#;
    assert_eq!(
        problems(json),
        [
            "unknown field \"foo\"",
            "duplicate field \"metadata.labels.x\"",
            "duplicate field \"spec.nodeName\"",
            "unknown field \"spec.containers[1].imagee\"",
            "unknown field \"spec.containers[1].env[0].nam\"",
        ]
    );
    let object = parse(json).unwrap().object;
    assert_eq!(object["spec"], json!({"nodeName": "m", "containers": [{"name": "c"}, {"name": "d", "env": [{}]}]}));
}

#[test]
fn complaints_are_counted() {
    let fields: Vec<String> = (0..1000).map(|n| format!("\"f{n}\": 0")).collect();
    assert_eq!(problems(&format!("{{{}}}", fields.join(","))).len(), 100);
}

#[test]
fn nulls_are_what_go_makes_of_them() {
    let parsed = parse(r#"{"spec": null, "metadata": {"labels": {"a": null}, "finalizers": [null]}}"#).unwrap();
    assert_eq!(parsed.object, json!({"metadata": {"labels": {"a": ""}, "finalizers": [""]}}));
}

#[test]
fn empty_lists_and_maps_are_left_out_where_go_omits_them() {
    let json = r#"{"metadata": {"labels": {}, "ownerReferences": []}, "spec": {"containers": [], "volumes": [{"name": "v",
        "emptyDir": {}}], "nodeSelector": {}}}"#;
    let expected = json!({"metadata": {}, "spec": {"containers": [], "volumes": [{"name": "v", "emptyDir": {}}]}});
    assert_eq!(parse(json).unwrap().object, expected);
}

#[test]
fn scalars_are_normalised() {
    let json = r#"{"metadata": {"creationTimestamp": "2026-01-02T03:04:05.1+01:00"},
        "spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": 2, "memory": "1Gi", "x": 0.5}}}]}}"#;
    let object = parse(json).unwrap().object;
    assert_eq!(object["metadata"]["creationTimestamp"], "2026-01-02T02:04:05Z");
    assert_eq!(
        object["spec"]["containers"][0]["resources"]["limits"],
        json!({"cpu": "2", "memory": "1Gi", "x": "0.5"})
    );
}

#[test]
fn wrong_types_are_refused_in_kubernetes_words() {
    for (json, message) in [
        ("[]", "json: cannot unmarshal array into Go value of type v1.Pod"),
        ("3", "json: cannot unmarshal number into Go value of type v1.Pod"),
        (
            r#"{"spec": {"priority": "high"}}"#,
            "json: cannot unmarshal string into Go struct field PodSpec.spec.priority of type int32",
        ),
        (
            r#"{"spec": {"priority": 3000000000}}"#,
            "json: cannot unmarshal number 3000000000 into Go struct field PodSpec.spec.priority of type int32",
        ),
        (
            r#"{"spec": {"activeDeadlineSeconds": 18446744073709551615}}"#,
            "json: cannot unmarshal number 18446744073709551615 into Go struct field \
             PodSpec.spec.activeDeadlineSeconds of type int64",
        ),
        (
            r#"{"spec": {"priority": 1.5}}"#,
            "json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type int32",
        ),
        (
            r#"{"spec": {"containers": [{"ports": [{"containerPort": true}]}]}}"#,
            "json: cannot unmarshal bool into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
        ),
        (
            r#"{"spec": {"containers": {"name": "c"}}}"#,
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            r#"{"metadata": {"labels": {"a": 1}}}"#,
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            r#"{"metadata": {"managedFields": [{"fieldsV1": 1}]}}"#,
            "json: cannot unmarshal number into Go struct field \
             ManagedFieldsEntry.metadata.managedFields.fieldsV1 of type map[string]interface {}",
        ),
    ] {
        let error = parse(json).unwrap_err();
        assert_eq!(error.to_string(), format!("Pod in version \"v1\" cannot be handled as a Pod: {message}"), "{json}");
    }
}

#[test]
fn broken_json_is_refused() {
    for json in ["", "{", "{\"a\":1,}", "{} {}", "{\"metadata\": nul}", "{\"metadata\": 1e999}", "\u{0}"] {
        assert!(matches!(parse(json), Err(ParseError::Syntax(_))), "{json}");
    }
    assert!(Schemas::builtin().parse(pod(), b"{\"metadata\": {\"name\": \"\xff\"}}").is_err());
}

#[test]
fn depth_is_limited_from_bytes_and_from_memory() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    assert!(matches!(parse_untyped(deep.as_bytes()), Err(ParseError::Syntax(_))));
    let mut value = Value::Null;
    for _ in 0..200 {
        value = json!({ "a": value });
    }
    let object = json!({"metadata": {"managedFields": [{"fieldsV1": value}]}});
    let error = Schemas::builtin().parse_value(pod(), object).unwrap_err();
    assert!(error.to_string().ends_with("json: exceeded max depth of 127"), "{error}");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9]{0,6}".prop_map(Value::from),
    ];
    let names = prop_oneof![
        Just("spec"),
        Just("metadata"),
        Just("containers"),
        Just("name"),
        Just("labels"),
        Just("ports"),
        Just("x")
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names.clone().prop_map(String::from), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever was read once is read again, from bytes and from memory, with nothing to complain about.
    #[test]
    fn what_was_accepted_is_accepted_unchanged(object in any_json()) {
        if let Ok(first) = Schemas::builtin().parse_value(pod(), object) {
            let again = Schemas::builtin().parse(pod(), first.object.to_string().as_bytes()).unwrap();
            prop_assert_eq!(again, Parsed { object: first.object, problems: vec![] });
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Schemas::builtin().parse(pod(), &bytes);
    }
}
