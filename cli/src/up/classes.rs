use std::fmt::Debug;

use anyhow::Context;
use k8s_openapi::api::networking::v1::IngressClass;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::PostParams;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Creates the classes of what names none: `local-path`, by which claims get a folder of the node where their Pod runs, and
/// `carob`, by which Ingresses are served by the gateways of the cluster's own nodes. What people made of them since stays.
pub(crate) async fn create_default(admin: &Client) -> anyhow::Result<()> {
    let local_path = json!({
        "metadata": {
            "name": "local-path", "annotations": { "storageclass.kubernetes.io/is-default-class": "true" },
        },
        "provisioner": "carob.dev/local-path", "volumeBindingMode": "WaitForFirstConsumer", "reclaimPolicy": "Delete",
    });
    let carob = json!({
        "metadata": {
            "name": "carob", "annotations": { "ingressclass.kubernetes.io/is-default-class": "true" },
        },
        "spec": { "controller": carob_resources::INGRESS_CONTROLLER },
    });
    create::<StorageClass>(admin, local_path).await?;
    create::<IngressClass>(admin, carob).await
}

async fn create<K>(admin: &Client, class: Value) -> anyhow::Result<()>
where
    K: Resource<DynamicType = (), Scope = kube::core::ClusterResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize,
{
    let class: K = serde_json::from_value(class)?;
    match Api::all(admin.clone()).create(&PostParams::default(), &class).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        created => {
            created.map(|_| ()).with_context(|| format!("cannot create the {} {}", K::kind(&()), class.name_any()))
        }
    }
}
