use serde_json::{Value, json};

use super::encode;
use crate::openapi::tests::openapi;
use crate::protobuf::message::Message;

/// The messages or texts in one field of a message.
fn each(message: &[u8], number: u32) -> Vec<&[u8]> {
    let fields = Message::new(message).map(|field| field.unwrap());
    fields.filter(|(found, _)| *found == number).map(|(_, payload)| payload.bytes().unwrap()).collect()
}

/// What is found along a way of single fields.
fn at<'a>(message: &'a [u8], way: &[u32]) -> &'a [u8] {
    way.iter().fold(message, |message, number| each(message, *number)[0])
}

/// The value of an entry of a map.
fn entry<'a>(map: &'a [u8], number: u32, name: &str) -> &'a [u8] {
    let found = each(map, number).into_iter().find(|entry| at(entry, &[1]) == name.as_bytes());
    at(found.unwrap_or_else(|| panic!("no {name}")), &[2])
}

#[test]
fn all_of_the_document_is_there() {
    let document = openapi().v2_protobuf();
    let json: Value = serde_json::from_slice(&openapi().v2()).unwrap();
    assert_eq!(at(&document, &[1]), b"2.0");
    assert_eq!(at(&document, &[2, 2]), b"v1.37.0");
    let names = |entries: Vec<&[u8]>| -> Vec<String> {
        entries.into_iter().map(|entry| String::from_utf8(at(entry, &[1]).to_vec()).unwrap()).collect()
    };
    let keys = |part: &Value| part.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let (mut paths, mut definitions) = (names(each(at(&document, &[8]), 2)), names(each(at(&document, &[9]), 1)));
    paths.sort();
    definitions.sort();
    let (mut wanted_paths, mut wanted) = (keys(&json["paths"]), keys(&json["definitions"]));
    wanted_paths.sort();
    wanted.sort();
    assert_eq!((paths, definitions), (wanted_paths, wanted));
}

#[test]
fn a_schema_is_what_it_is_in_json() {
    let document = openapi().v2_protobuf();
    let pod = entry(at(&document, &[9]), 1, "io.k8s.api.core.v1.Pod");
    let json: Value = serde_json::from_slice(&openapi().v2()).unwrap();
    let pod_json = &json["definitions"]["io.k8s.api.core.v1.Pod"];
    assert_eq!(at(pod, &[22, 1]), b"object");
    assert_eq!(Some(at(pod, &[4])), pod_json["description"].as_str().map(str::as_bytes));
    assert_eq!(at(entry(at(pod, &[25]), 1, "spec"), &[1]), b"#/definitions/io.k8s.api.core.v1.PodSpec");
    let kinds: Value = serde_json::from_slice(at(entry(pod, 31, "x-kubernetes-group-version-kind"), &[2])).unwrap();
    assert_eq!(kinds, json!([{"group": "", "kind": "Pod", "version": "v1"}]));
    let spec = entry(at(&document, &[9]), 1, "io.k8s.api.core.v1.PodSpec");
    assert_eq!(each(spec, 19), [b"containers"]);
    let containers = entry(at(spec, &[25]), 1, "containers");
    assert_eq!(at(containers, &[23, 1, 1]), b"#/definitions/io.k8s.api.core.v1.Container");
}

#[test]
fn an_operation_has_its_parameters_by_their_places() {
    let document = openapi().v2_protobuf();
    let pods = entry(at(&document, &[8]), 2, "/api/v1/namespaces/{namespace}/pods");
    let parameter = |item: &[u8], way: &[u32]| String::from_utf8(at(item, way).to_vec()).unwrap();
    assert_eq!(parameter(each(pods, 9)[0], &[1, 2, 4, 4]), "namespace");
    let create = at(pods, &[4]);
    let parameters = each(create, 8);
    assert_eq!(parameter(parameters[0], &[1, 2, 3, 4]), "dryRun");
    assert_eq!(parameter(parameters[3], &[1, 1, 5, 1]), "#/definitions/io.k8s.api.core.v1.Pod");
    let created = entry(at(create, &[9]), 1, "201");
    assert_eq!(at(created, &[1, 2, 1, 1]), b"#/definitions/io.k8s.api.core.v1.Pod");
}

#[test]
fn what_has_no_field_is_an_error() {
    for (document, problem) in [
        (json!({"host": "example.com"}), "gnostic has no field for \"host\""),
        (json!({"paths": {"/": {"parameters": [{"in": "cookie"}]}}}), "gnostic has no parameter in \"cookie\""),
        (json!({"paths": []}), "expected an object"),
    ] {
        let error = encode(document.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}
