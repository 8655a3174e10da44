//! A cluster in one test: the API server over a store in memory, the scheduler, all controllers and a node that
//! pretends. Time is paused, so that minutes of it pass in no time.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its own part of this; a test may panic")]

mod faults;
mod node;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use carob_apiserver::{ApiServer, Config, Identity};
use carob_reconcile::Informers;
use carob_store::Memory;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

pub(crate) use faults::Faults;

/// Dropping it ends everything.
pub(crate) struct Cluster {
    /// A client that nothing happens to.
    pub(crate) client: Client,
    heart: AbortHandle,
    _tasks: JoinSet<()>,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        Self::with(Faults::none()).await
    }

    /// The scheduler and the controllers meet these faults; the test and the node do not.
    pub(crate) async fn with(faults: Faults) -> Self {
        let api = ApiServer::new(Arc::new(Memory::new()), Config::default()).await.unwrap();
        let reliable = |user: &str| Client::new(api.client(Identity::user(user)), "default");
        let (door, faults) = (api.clone(), Arc::new(faults));
        let client_for = move |user: &str| {
            Client::new(faults::Faulty::new(door.client(Identity::user(user)), faults.clone()), "default")
        };
        let informers = Arc::new(Informers::new(client_for("system:kube-controller-manager")));
        let mut tasks = JoinSet::new();
        let (scheduler, shared, stop) =
            (client_for("system:kube-scheduler"), informers.clone(), CancellationToken::new());
        let stopped = stop.clone();
        tasks.spawn(async move { carob_scheduler::run(scheduler, &shared, stopped).await });
        let authority = carob_pki::Authority::generate("ca", std::time::SystemTime::now()).unwrap();
        let config = carob_controllers::Config::new(Arc::new(authority));
        tasks.spawn(async move { carob_controllers::run(client_for, &informers, config, stop).await });
        let heart = node::start(reliable("system:node:n1"), &mut tasks).await;
        Self { client: reliable("admin"), heart, _tasks: tasks }
    }

    /// Creates or patches the object, as `kubectl apply` does.
    pub(crate) async fn apply(&self, object: Value) {
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        let api = self.api(object.types.as_ref().unwrap().kind.as_str(), &object.namespace().unwrap_or_default());
        let patch = Patch::Merge(serde_json::to_value(&object).unwrap());
        match api.patch(&object.name_any(), &PatchParams::default(), &patch).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {
                api.create(&PostParams::default(), &object).await.unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn patch_status(&self, kind: &str, namespace: &str, name: &str, patch: Value) {
        let patch = Patch::Merge(patch);
        self.api(kind, namespace).patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Nobody renews the lease of the node any more.
    pub(crate) fn silence_node(&self) {
        self.heart.abort();
    }

    /// As a node does that is well.
    pub(crate) async fn renew_lease(&self, node: &str) {
        node::renew_lease(&self.client, node).await;
    }

    pub(crate) async fn delete(&self, kind: &str, namespace: &str, name: &str, how: DeleteParams) {
        self.api(kind, namespace).delete(name, &how).await.unwrap();
    }

    pub(crate) async fn list(&self, kind: &str, namespace: &str) -> Vec<Value> {
        let list = self.api(kind, namespace).list(&Default::default()).await.unwrap();
        list.items.into_iter().map(|object| serde_json::to_value(object).unwrap()).collect()
    }

    pub(crate) async fn get(&self, kind: &str, namespace: &str, name: &str) -> Value {
        let found = self.api(kind, namespace).get_opt(name).await.unwrap();
        found.map_or(Value::Null, |object| serde_json::to_value(object).unwrap())
    }

    /// Waits until the Deployment has rolled out what it says.
    pub(crate) async fn rolled_out(&self, namespace: &str, name: &str) {
        eventually(&format!("{namespace}/{name} rolls out"), || async {
            let deployment = self.get("Deployment", namespace, name).await;
            let (spec, status) = (&deployment["spec"], &deployment["status"]);
            let is_new = status["observedGeneration"] == deployment["metadata"]["generation"];
            let counts = ["replicas", "updatedReplicas", "availableReplicas"];
            is_new && counts.iter().all(|count| status[count] == spec["replicas"])
        })
        .await;
    }

    fn api(&self, kind: &str, namespace: &str) -> Api<DynamicObject> {
        let (api_version, plural) = match kind {
            "Deployment" | "ReplicaSet" => ("apps/v1", format!("{}s", kind.to_lowercase())),
            "EndpointSlice" => ("discovery.k8s.io/v1", "endpointslices".to_owned()),
            "Endpoints" => ("v1", "endpoints".to_owned()),
            kind => ("v1", format!("{}s", kind.to_lowercase())),
        };
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource {
            group: group.into(),
            version: version.into(),
            api_version: api_version.into(),
            kind: kind.into(),
            plural,
        };
        match namespace {
            "" => Api::all_with(self.client.clone(), &resource),
            namespace => Api::namespaced_with(self.client.clone(), namespace, &resource),
        }
    }
}

/// Waits for it for a quarter of an hour of paused time.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let end = Instant::now() + Duration::from_secs(900);
    while !is_so().await {
        assert!(Instant::now() < end, "never: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) fn namespace(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } })
}

pub(crate) fn deployment(namespace: &str, name: &str, replicas: u32, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "namespace": namespace, "name": name },
        "spec": {
            "replicas": replicas, "selector": { "matchLabels": { "app": name } },
            "template": template(name, image),
        },
    })
}

pub(crate) fn template(name: &str, image: &str) -> Value {
    let container = json!({
        "name": "c", "image": image, "ports": [{ "name": "http", "containerPort": 8080 }],
        "resources": { "requests": { "cpu": "100m" } },
    });
    json!({ "metadata": { "labels": { "app": name } }, "spec": { "containers": [container] } })
}

pub(crate) fn service(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "namespace": namespace, "name": name },
        "spec": { "selector": { "app": name }, "ports": [{ "name": "web", "port": 80, "targetPort": "http" }] },
    })
}
