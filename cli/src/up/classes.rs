use anyhow::Context;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;

/// Creates the class `local-path`, by which claims that name none get a folder of the node where their Pod runs. What people
/// made of it since stays.
pub(crate) async fn create_default(admin: &Client) -> anyhow::Result<()> {
    let class: StorageClass = serde_json::from_value(json!({
        "metadata": {
            "name": "local-path", "annotations": { "storageclass.kubernetes.io/is-default-class": "true" },
        },
        "provisioner": "carob.dev/local-path", "volumeBindingMode": "WaitForFirstConsumer", "reclaimPolicy": "Delete",
    }))?;
    match Api::all(admin.clone()).create(&PostParams::default(), &class).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        created => created.map(|_| ()).context("cannot create the StorageClass local-path"),
    }
}
