//! What a ServiceAccount does to the Pods that run under it.

use crate::json::{at, fill, flag, has, items_mut, list, text};
use serde_json::{Value, json};

/// Where programs look for their token.
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// An hour, and a little more by which Kubernetes tells these tokens from others.
const SECONDS: i64 = 3607;

/// What a ServiceAccount says of its Pods.
pub struct AccountPolicy {
    mounts_token: bool,
    pull_secrets: Value,
}

impl AccountPolicy {
    /// Reads a ServiceAccount.
    pub fn read(account: &Value) -> AccountPolicy {
        let silent = !has(account, "/automountServiceAccountToken");
        AccountPolicy {
            mounts_token: silent || flag(account, "/automountServiceAccountToken"),
            pull_secrets: at(account, "/imagePullSecrets").clone(),
        }
    }

    /// Gives a new Pod the account's pull secrets, if it names none, and mounts a token into each container that mounts
    /// nothing at its place. `volume` makes up the name of the volume.
    pub fn admit(&self, pod: &mut Value, volume: impl FnOnce() -> String) {
        let Some(spec) = pod.get_mut("spec").filter(|spec| spec.is_object()) else { return };
        if list(spec, "/imagePullSecrets").is_empty() && self.pull_secrets.is_array() {
            spec["imagePullSecrets"] = self.pull_secrets.clone();
        }
        let mounts = match has(spec, "/automountServiceAccountToken") {
            true => flag(spec, "/automountServiceAccountToken"),
            false => self.mounts_token,
        };
        if mounts {
            mount(spec, volume);
        }
    }
}

fn mount(spec: &mut Value, volume: impl FnOnce() -> String) {
    let lists = ["/initContainers", "/containers"];
    if lists.iter().all(|containers| list(spec, containers).iter().all(has_mount)) {
        return;
    }
    let existing = list(spec, "/volumes").iter().map(|volume| text(volume, "/name"));
    let existing = existing.filter(|name| name.starts_with("kube-api-access-")).map(str::to_owned).next();
    let name = existing.clone().unwrap_or_else(volume);
    for containers in lists {
        for container in items_mut(spec, containers).filter(|container| container.is_object() && !has_mount(container))
        {
            push(container, "volumeMounts", json!({ "name": name, "mountPath": MOUNT_PATH, "readOnly": true }));
        }
    }
    if existing.is_none() {
        push(spec, "volumes", access(&name));
    }
}

fn has_mount(container: &Value) -> bool {
    list(container, "/volumeMounts").iter().any(|mount| text(mount, "/mountPath") == MOUNT_PATH)
}

fn push(object: &mut Value, field: &str, item: Value) {
    fill(object, field, json!([]));
    if let Some(items) = object.get_mut(field).and_then(Value::as_array_mut) {
        items.push(item);
    }
}

/// The account's token, the cluster's CA and the Pod's namespace.
fn access(name: &str) -> Value {
    let namespace =
        json!({ "path": "namespace", "fieldRef": { "apiVersion": "v1", "fieldPath": "metadata.namespace" } });
    json!({
        "name": name,
        "projected": {
            "defaultMode": 0o644,
            "sources": [
                { "serviceAccountToken": { "expirationSeconds": SECONDS, "path": "token" } },
                { "configMap": { "name": "kube-root-ca.crt", "items": [{ "key": "ca.crt", "path": "ca.crt" }] } },
                { "downwardAPI": { "items": [namespace] } },
            ],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(account: Value, spec: Value) -> Value {
        let mut pod = json!({ "spec": spec });
        AccountPolicy::read(&account).admit(&mut pod, || "kube-api-access-x".to_owned());
        pod["spec"].clone()
    }

    #[test]
    fn a_token_is_mounted_unless_the_pod_or_its_account_says_no() {
        let field = "automountServiceAccountToken";
        for (account, pod, mounted) in [
            (json!(null), json!(null), true),
            (json!(false), json!(null), false),
            (json!(false), json!(true), true),
            (json!(true), json!(false), false),
        ] {
            let spec = admitted(json!({ field: account }), json!({ field: pod, "containers": [{ "name": "a" }] }));
            assert_eq!(list(&spec, "/volumes").len(), usize::from(mounted), "{spec}");
            let mounts = list(&spec, "/containers/0/volumeMounts");
            assert_eq!(mounts.first().map(|mount| text(mount, "/mountPath")), mounted.then_some(MOUNT_PATH));
        }
    }

    #[test]
    fn containers_that_have_something_in_its_place_are_left_alone() {
        let own = json!({ "name": "b", "volumeMounts": [{ "name": "own", "mountPath": MOUNT_PATH }] });
        let containers = json!([{ "name": "a", "volumeMounts": [{ "name": "v", "mountPath": "/v" }] }, own]);
        let spec = admitted(json!({}), json!({ "containers": containers, "initContainers": [{ "name": "i" }] }));
        assert_eq!(list(&spec, "/containers/0/volumeMounts").len(), 2);
        assert_eq!(list(&spec, "/containers/1/volumeMounts").len(), 1);
        assert_eq!(list(&spec, "/initContainers/0/volumeMounts").len(), 1);
        let again = admitted(json!({}), spec.clone());
        assert_eq!(again, spec, "once is enough");
        assert_eq!(admitted(json!({}), json!({ "containers": [own] })), json!({ "containers": [own] }));
    }

    #[test]
    fn pull_secrets_come_from_the_account_where_the_pod_has_none() {
        let account = json!({ "imagePullSecrets": [{ "name": "r" }], "automountServiceAccountToken": false });
        assert_eq!(admitted(account.clone(), json!({}))["imagePullSecrets"], json!([{ "name": "r" }]));
        let own = json!({ "imagePullSecrets": [{ "name": "mine" }] });
        assert_eq!(admitted(account, own.clone()), own);
    }
}
