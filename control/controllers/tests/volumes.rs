//! Claims and volumes find each other, stay together, and part as they are told to.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use k8s_openapi::api::core::v1::{Event, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use support::{Cluster, Faults, eventually};

struct Storage {
    cluster: Cluster,
}

impl Storage {
    async fn with(faults: Faults) -> Self {
        Self { cluster: Cluster::with(faults).await }
    }

    fn claims(&self) -> Api<PersistentVolumeClaim> {
        Api::default_namespaced(self.cluster.client.clone())
    }

    fn volumes(&self) -> Api<PersistentVolume> {
        Api::all(self.cluster.client.clone())
    }

    fn pods(&self) -> Api<Pod> {
        Api::default_namespaced(self.cluster.client.clone())
    }

    async fn class(&self, name: &str, provisioner: &str, mode: &str) {
        let class = json!({ "metadata": { "name": name }, "provisioner": provisioner, "volumeBindingMode": mode });
        let api: Api<StorageClass> = Api::all(self.cluster.client.clone());
        api.create(&PostParams::default(), &serde_json::from_value(class).unwrap()).await.unwrap();
    }

    async fn claim(&self, name: &str, spec: Value) {
        let mut claim = json!({
            "metadata": { "name": name },
            "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
        });
        claim["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        self.claims().create(&PostParams::default(), &serde_json::from_value(claim).unwrap()).await.unwrap();
    }

    async fn volume(&self, name: &str, spec: Value) {
        let mut volume = json!({
            "metadata": { "name": name },
            "spec": { "accessModes": ["ReadWriteOnce"], "capacity": { "storage": "1Gi" }, "hostPath": { "path": "/data" } },
        });
        volume["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        self.volumes().create(&PostParams::default(), &serde_json::from_value(volume).unwrap()).await.unwrap();
    }

    async fn pod(&self, name: &str, claim: &str) {
        let pod = json!({
            "metadata": { "name": name },
            "spec": {
                "containers": [{ "name": "c", "image": "i" }],
                "volumes": [{ "name": "v", "persistentVolumeClaim": { "claimName": claim } }],
            },
        });
        self.pods().create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    }

    /// The claim's phase and volume.
    async fn claim_is(&self, name: &str, phase: &str, volume: &str) {
        eventually(&format!("claim {name} is {phase} {volume}"), || async {
            let claim = json!(self.claims().get(name).await.unwrap());
            claim["status"]["phase"] == phase && claim["spec"]["volumeName"].as_str().unwrap_or_default() == volume
        })
        .await;
    }

    async fn volume_is(&self, name: &str, phase: &str) {
        eventually(&format!("volume {name} is {phase}"), || async {
            json!(self.volumes().get(name).await.unwrap())["status"]["phase"] == phase
        })
        .await;
    }

    async fn pod_is_on(&self, name: &str, node: Option<&str>) {
        eventually(&format!("Pod {name} is on {node:?}"), || async {
            json!(self.pods().get(name).await.unwrap())["spec"]["nodeName"].as_str() == node
        })
        .await;
    }

    async fn told(&self, name: &str, reason: &str, message: &str) {
        let events: Api<Event> = Api::default_namespaced(self.cluster.client.clone());
        eventually(&format!("{name} is told {reason}: {message}"), || async {
            let events = events.list(&Default::default()).await.unwrap();
            events.iter().any(|event| {
                event.involved_object.name.as_deref() == Some(name)
                    && event.reason.as_deref() == Some(reason)
                    && event.message.as_deref().is_some_and(|said| said.contains(message))
            })
        })
        .await;
    }
}

async fn binds_and_parts(faults: Faults) {
    let storage = Storage::with(faults).await;
    storage.claim("data", json!({ "storageClassName": "" })).await;
    storage.told("data", "FailedBinding", "no persistent volumes available for this claim").await;
    storage.pod("web", "data").await;
    storage.told("web", "FailedScheduling", "pod has unbound immediate PersistentVolumeClaims").await;
    storage.volume("big", json!({ "capacity": { "storage": "4Gi" } })).await;
    storage.claim_is("data", "Bound", "big").await;
    storage.volume_is("big", "Bound").await;
    storage.pod_is_on("web", Some("n1")).await;

    // What is in use stays, however it was deleted.
    storage.claims().delete("data", &DeleteParams::default()).await.unwrap();
    storage.volumes().delete("big", &DeleteParams::default()).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    storage.claim_is("data", "Bound", "big").await;
    storage.volume_is("big", "Bound").await;
    storage.pods().delete("web", &DeleteParams::default()).await.unwrap();
    eventually("the claim goes with its last user", || async {
        storage.claims().get_opt("data").await.unwrap().is_none()
    })
    .await;
    eventually("the volume goes with its claim", || async {
        storage.volumes().get_opt("big").await.unwrap().is_none()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn without_faults() {
    binds_and_parts(Faults::none()).await;
}

#[tokio::test(start_paused = true)]
async fn with_faults() {
    for seed in 1..=4 {
        binds_and_parts(Faults::seeded(seed, 8)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_volume_outlives_its_claim_as_its_policy_says() {
    let storage = Storage::with(Faults::none()).await;
    for (name, policy, phase) in [("kept", "Retain", "Released"), ("nobodys", "Delete", "Failed")] {
        let own = json!({ "persistentVolumeReclaimPolicy": policy, "storageClassName": "" });
        storage.volume(name, own).await;
        storage.claim(name, json!({ "volumeName": name, "storageClassName": "" })).await;
        storage.claim_is(name, "Bound", name).await;
        storage.claims().delete(name, &DeleteParams::default()).await.unwrap();
        storage.volume_is(name, phase).await;
    }
    storage.told("nobodys", "VolumeFailedDelete", "no deletable volume plugin matched").await;
    // A claim that comes later does not get what another has left.
    storage.claim("later", json!({ "storageClassName": "" })).await;
    storage.told("later", "FailedBinding", "no persistent volumes available").await;
    storage.claim_is("later", "Pending", "").await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_lost_its_volume_says_so() {
    let storage = Storage::with(Faults::none()).await;
    storage.volume("v", json!({ "storageClassName": "" })).await;
    storage.claim("data", json!({ "storageClassName": "" })).await;
    storage.claim_is("data", "Bound", "v").await;
    storage.volumes().delete("v", &DeleteParams::default()).await.unwrap();
    let free = Patch::Merge(json!({ "metadata": { "finalizers": [] } }));
    storage.volumes().patch("v", &PatchParams::default(), &free).await.unwrap();
    storage.claim_is("data", "Lost", "v").await;
    storage.told("data", "ClaimLost", "Bound claim has lost its PersistentVolume").await;
    storage.pod("web", "data").await;
    storage
        .told("web", "FailedScheduling", "persistentvolumeclaim \"data\" bound to non-existent persistentvolume \"v\"")
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_first_consumer_decides_which_volume_a_claim_gets() {
    let storage = Storage::with(Faults::none()).await;
    storage.class("there", "kubernetes.io/no-provisioner", "WaitForFirstConsumer").await;
    let on = |node: &str| {
        json!({ "storageClassName": "there", "nodeAffinity": { "required": { "nodeSelectorTerms": [
            { "matchFields": [{ "key": "metadata.name", "operator": "In", "values": [node] }] }
        ] } } })
    };
    storage.volume("far", on("elsewhere")).await;
    storage.claim("data", json!({ "storageClassName": "there" })).await;
    storage.told("data", "WaitForFirstConsumer", "waiting for first consumer to be created before binding").await;
    storage.pod("web", "data").await;
    storage.told("web", "FailedScheduling", "1 node(s) didn't find available persistent volumes to bind").await;
    storage.volume("near", on("n1")).await;
    storage.pod_is_on("web", Some("n1")).await;
    storage.claim_is("data", "Bound", "near").await;
    storage.volume_is("far", "Available").await;
}

#[tokio::test(start_paused = true)]
async fn a_provisioner_is_asked_for_the_node_that_was_chosen() {
    let storage = Storage::with(Faults::none()).await;
    storage.class("made", "example.com/maker", "WaitForFirstConsumer").await;
    storage.claim("data", json!({ "storageClassName": "made" })).await;
    storage.pod("web", "data").await;
    storage.told("data", "ExternalProvisioning", "external provisioner 'example.com/maker'").await;
    let claim = json!(storage.claims().get("data").await.unwrap());
    let annotations = &claim["metadata"]["annotations"];
    assert_eq!(annotations["volume.kubernetes.io/selected-node"], "n1");
    assert_eq!(annotations["volume.kubernetes.io/storage-provisioner"], "example.com/maker");
    storage.pod_is_on("web", None).await;
    let reference = json!({ "namespace": "default", "name": "data", "uid": claim["metadata"]["uid"] });
    storage.volume("pvc-1", json!({ "storageClassName": "made", "claimRef": reference })).await;
    storage.pod_is_on("web", Some("n1")).await;
    storage.claim_is("data", "Bound", "pvc-1").await;
}
