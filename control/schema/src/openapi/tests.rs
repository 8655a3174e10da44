use serde_json::Value;

use super::*;

const RESOURCES: &[Resource<'_>] = &[
    Resource {
        group: "",
        version: "v1",
        kind: "Namespace",
        plural: "namespaces",
        namespaced: false,
        asked: false,
        subresources: &["status"],
    },
    Resource {
        group: "",
        version: "v1",
        kind: "Pod",
        plural: "pods",
        namespaced: true,
        asked: false,
        subresources: &["binding", "log"],
    },
    Resource {
        group: "apps",
        version: "v1",
        kind: "Deployment",
        plural: "deployments",
        namespaced: true,
        asked: false,
        subresources: &["status", "scale"],
    },
];

pub(super) fn openapi() -> OpenApi<'static> {
    OpenApi { resources: RESOURCES, version: "v1.37.0" }
}

fn read(document: &[u8]) -> Value {
    serde_json::from_slice(document).unwrap()
}

/// Every `$ref` leads somewhere.
fn check_references(document: &Value, part: &Value) {
    match part {
        Value::Object(entries) => {
            if let Some(Value::String(reference)) = entries.get("$ref") {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
            }
            entries.values().for_each(|value| check_references(document, value));
        }
        Value::Array(items) => items.iter().for_each(|value| check_references(document, value)),
        _ => {}
    }
}

#[test]
fn the_index_names_a_document_for_each_group_and_version() {
    let index = read(&openapi().v3_index());
    let names: Vec<&String> = index["paths"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["api/v1", "apis/apps/v1"]);
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap();
    assert_eq!(url, format!("/openapi/v3/apis/apps/v1?hash={}", openapi().hash("apis/apps/v1")));
    assert_ne!(openapi().hash("apis/apps/v1"), openapi().hash("api/v1"));
    assert_eq!(openapi().v3("apis/batch/v1"), None);
}

#[test]
fn references_lead_somewhere_in_both_versions() {
    for document in [openapi().v2(), openapi().v3("api/v1").unwrap(), openapi().v3("apis/apps/v1").unwrap()] {
        let document = read(&document);
        check_references(&document, &document);
    }
}

/// What kubectl explain and kubectl apply look at.
#[test]
fn version_3_says_what_kubectl_asks() {
    let document = read(&openapi().v3("apis/apps/v1").unwrap());
    let path = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"];
    let kind = serde_json::json!({"group": "apps", "version": "v1", "kind": "Deployment"});
    assert_eq!(path["patch"]["x-kubernetes-group-version-kind"], kind);
    let parameters = path["patch"]["parameters"].as_array().unwrap();
    assert!(parameters.iter().any(|parameter| parameter["name"] == "fieldValidation"));
    let deployment = &document["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"];
    assert_eq!(deployment["x-kubernetes-group-version-kind"][0], kind);
    assert_eq!(
        deployment["properties"]["spec"]["allOf"][0]["$ref"],
        "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec"
    );
    let containers = &document["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["x-kubernetes-patch-strategy"], "merge");
    assert_eq!(containers["x-kubernetes-list-map-keys"], serde_json::json!(["name"]));
    assert!(containers["description"].as_str().unwrap().starts_with("List of containers belonging to the pod."));
    let scale = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"]["get"];
    assert_eq!(scale["x-kubernetes-group-version-kind"]["kind"], "Scale");
    assert_eq!(scale["operationId"], "readAppsV1NamespacedDeploymentScale");
}

#[test]
fn version_2_has_definitions_and_paths() {
    let document = read(&openapi().v2());
    assert_eq!(document["swagger"], "2.0");
    let pod = &document["definitions"]["io.k8s.api.core.v1.Pod"];
    assert_eq!(pod["properties"]["spec"]["$ref"], "#/definitions/io.k8s.api.core.v1.PodSpec");
    assert_eq!(document["paths"]["/api/v1/pods"]["get"]["operationId"], "listCoreV1PodForAllNamespaces");
    assert!(document["definitions"]["io.k8s.api.core.v1.PodList"]["properties"]["items"].is_object());
}
