//! Reports a Pod's status, and deletes it when it has ended.

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::spec::PodExt;

/// What became of a report.
#[derive(Debug)]
pub(crate) enum Reported {
    Accepted,
    /// There is no such Pod any more; the watch will say so too.
    Gone,
    Failed(kube::Error),
}

/// Sends the status, in one patch. The UID in it makes it fail for another Pod of the same name.
pub(crate) async fn report(client: Client, pod: &Pod, before: &PodStatus, status: &PodStatus) -> Reported {
    let id = pod.reference();
    let pods: Api<Pod> = Api::namespaced(client, &id.namespace);
    let patch = json!({"metadata": {"uid": id.uid}, "status": document(before, status)});
    match pods.patch_status(&id.name, &PatchParams::default(), &Patch::Strategic(patch)).await {
        Ok(_) => Reported::Accepted,
        Err(kube::Error::Api(status)) if status.code == 404 => Reported::Gone,
        Err(error) => Reported::Failed(error),
    }
}

/// Takes the Pod out of the API: nothing of it runs any more.
pub(crate) async fn delete(client: Client, pod: &Pod) -> Reported {
    let id = pod.reference();
    let pods: Api<Pod> = Api::namespaced(client, &id.namespace);
    let preconditions = Preconditions { uid: Some(id.uid), resource_version: None };
    let params = DeleteParams::default().grace_period(0).preconditions(preconditions);
    match pods.delete(&id.name, &params).await {
        Ok(_) => Reported::Accepted,
        // A conflict is another Pod that has the name by now.
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Reported::Gone,
        Err(error) => Reported::Failed(error),
    }
}

/// The status as a strategic merge patch: conditions are merged by type, so what a condition no longer says must be
/// named to be taken out; addresses are merged by address, so a changed one must replace the list.
fn document(before: &PodStatus, status: &PodStatus) -> Value {
    let mut document = json!(status);
    for condition in document["conditions"].as_array_mut().into_iter().flatten() {
        for field in ["reason", "message"] {
            if condition.get(field).is_none() {
                condition[field] = Value::Null;
            }
        }
    }
    document["conditions"].as_array_mut().into_iter().for_each(|conditions| conditions.extend(ended(before, status)));
    if before.pod_ips.is_some()
        && before.pod_ips != status.pod_ips
        && let Some(ips) = document["podIPs"].as_array_mut()
    {
        ips.push(json!({"$patch": "replace"}));
    }
    document
}

/// Conditions that are there only as long as they are true, and are not any more.
fn ended(before: &PodStatus, status: &PodStatus) -> Vec<Value> {
    let has =
        |status: &PodStatus, type_: &str| status.conditions.iter().flatten().any(|condition| condition.type_ == type_);
    let passing = ["PodResizePending", "PodResizeInProgress"];
    let ended = passing.into_iter().filter(|type_| has(before, type_) && !has(status, type_));
    ended.map(|type_| json!({"type": type_, "$patch": "delete"})).collect()
}
