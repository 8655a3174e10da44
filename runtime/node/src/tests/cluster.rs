//! An API server, a node and a runtime that does as it is told, in one test and on one clock.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use carob_apiserver::{ApiServer, Config, Identity};
use carob_netmesh::{Mesh, MeshConfig};
use carob_store::Memory;
use k8s_openapi::api::core::v1::{Event, Node as NodeObject, Pod};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::clock::Clock;
use crate::images::ImageStore;
use crate::node::{Node, NodeConfig};
use crate::runtime::fake::{FakeContainer, FakeRuntime};

pub(super) struct Cluster {
    pub(super) client: Client,
    pub(super) runtime: FakeRuntime,
    /// New with each start of the node, as with its process.
    pub(super) mesh: Mesh,
    pub(super) images: ImageStore,
    pub(super) dir: tempfile::TempDir,
    node: Option<(DropGuard, tokio::task::JoinHandle<()>)>,
    kubelet: Router,
}

impl Cluster {
    /// A cluster with a running node, and an image called `app`.
    pub(super) async fn start() -> Cluster {
        let mut cluster = Cluster::without_node().await;
        cluster.start_node();
        cluster
    }

    /// A cluster whose node is still to be started.
    pub(super) async fn without_node() -> Cluster {
        let config = Config { advertise: ("192.0.2.1".parse().unwrap(), 6443), ..Config::default() };
        let api = ApiServer::new(Arc::new(Memory::new()), config).await.unwrap();
        let admin = Identity::user("admin").group("system:masters");
        let dir = tempfile::tempdir().unwrap();
        let images = ImageStore::open(dir.path().join("images")).unwrap();
        images.load(b"\0asm\x01\0\0\0", "app").unwrap();
        let client = Client::new(api.client(admin), "default");
        // As the controller does that nobody runs here.
        let node = json!({"metadata": {"name": "n1"}, "spec": {"podCIDR": "10.244.0.0/18"}});
        let nodes: Api<NodeObject> = Api::all(client.clone());
        nodes.create(&PostParams::default(), &serde_json::from_value(node).unwrap()).await.unwrap();
        Cluster {
            client,
            runtime: FakeRuntime::default(),
            mesh: Mesh::new(MeshConfig::default()),
            images,
            dir,
            node: None,
            kubelet: Router::new(),
        }
    }

    pub(super) fn start_node(&mut self) {
        self.start_node_with(|_| {});
    }

    pub(super) fn start_node_with(&mut self, change: impl FnOnce(&mut NodeConfig)) {
        let address = "127.0.0.1".parse().unwrap();
        let mut config = NodeConfig::new("n1", self.dir.path().join("node"), self.images.clone(), address);
        // Whatever is left of the machine that the tests run on.
        config.eviction_hard = "".parse().unwrap();
        change(&mut config);
        let runtime = Arc::new(self.runtime.clone());
        self.mesh = Mesh::new(MeshConfig::default());
        let (client, networks) = (self.client.clone(), Arc::new(self.mesh.clone()));
        let node = Node::with(client, runtime, networks, config, Clock::tokio());
        let shutdown = CancellationToken::new();
        self.kubelet = node.kubelet_api();
        let (guard, token) = (shutdown.clone().drop_guard(), shutdown);
        self.node = Some((guard, tokio::spawn(async move { node.run(token).await })));
    }

    /// Ends the node's process, as far as the API can see.
    pub(super) async fn stop_node(&mut self) {
        let (guard, task) = self.node.take().unwrap();
        drop(guard);
        task.await.unwrap();
    }

    pub(super) fn pods(&self) -> Api<Pod> {
        Api::default_namespaced(self.client.clone())
    }

    /// Creates a Pod that is bound to the node already.
    pub(super) async fn create(&self, name: &str, mut spec: Value) -> Pod {
        spec["nodeName"] = json!("n1");
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec});
        self.pods().create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap()
    }

    /// Creates a Pod with the one container `a`.
    pub(super) async fn create_single(&self, name: &str, policy: &str) -> Pod {
        self.create(name, json!({"restartPolicy": policy, "containers": [{"name": "a", "image": "app"}]})).await
    }

    pub(super) async fn delete(&self, name: &str, params: DeleteParams) {
        self.pods().delete(name, &params).await.unwrap();
    }

    /// The Pod as JSON, once `holds` of it.
    pub(super) async fn pod_when(&self, name: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..ROUNDS {
            last = json!(self.pods().get_opt(name).await.unwrap());
            if holds(&last) {
                return last;
            }
            tokio::time::sleep(STEP).await;
        }
        panic!("{name} never became what it should: {last:#}");
    }

    pub(super) async fn running(&self, name: &str) -> Value {
        self.pod_when(name, |pod| pod["status"]["phase"] == "Running").await
    }

    pub(super) async fn gone(&self, name: &str) {
        self.pod_when(name, Value::is_null).await;
    }

    /// The n-th container of that name, once it was started.
    pub(super) async fn container(&self, name: &str, n: usize) -> Arc<FakeContainer> {
        until(|| self.runtime.started(name).get(n).cloned()).await
    }

    /// The reason and message of every Event of a Pod.
    pub(super) async fn events(&self, name: &str) -> Vec<(String, String)> {
        let events: Api<Event> = Api::default_namespaced(self.client.clone());
        let events = events.list(&ListParams::default()).await.unwrap();
        let own = events.items.into_iter().filter(|event| event.involved_object.name.as_deref() == Some(name));
        own.map(|event| (event.reason.unwrap_or_default(), event.message.unwrap_or_default())).collect()
    }

    /// Waits until an Event was written whose message begins so.
    pub(super) async fn event(&self, pod: &str, reason: &str, message: &str) {
        for _ in 0..ROUNDS {
            let events = self.events(pod).await;
            if events.iter().any(|(found, text)| found == reason && text.starts_with(message)) {
                return;
            }
            tokio::time::sleep(STEP).await;
        }
        panic!("no Event {reason} {message:?}: {:?}", self.events(pod).await);
    }

    /// The kubelet's API, as a connection reaches it.
    pub(super) fn router(&self) -> Router {
        self.kubelet.clone()
    }

    /// Asks the kubelet's API.
    pub(super) async fn kubelet(&self, path: &str) -> (u16, String) {
        use http_body_util::BodyExt;
        use tower::ServiceExt;
        let request = http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        let response = self.kubelet.clone().oneshot(request).await.unwrap();
        let code = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (code, String::from_utf8(body.to_vec()).unwrap())
    }
}

const STEP: Duration = Duration::from_millis(100);
/// Half an hour of paused time, which passes in a moment.
const ROUNDS: u32 = 18_000;

/// What `look` finds, once it finds something.
pub(super) async fn until<T>(look: impl Fn() -> Option<T>) -> T {
    for _ in 0..ROUNDS {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(STEP).await;
    }
    panic!("it never came");
}
