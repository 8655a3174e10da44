//! What keeps the graph true: a watch over every kind that can be owned or own. Kinds that the process watches anyway
//! are read from their shared informer; of all others only the metadata is asked for.

use std::collections::HashMap;
use std::sync::Arc;

use carob_reconcile::{Change, Informer, Informers, MetadataOnly, ObjectKey, Queue, Watched, follow};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{
    Endpoints, Namespace, Node as ClusterNode, Pod, ReplicationController, Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource};
use parking_lot::Mutex;
use tokio::task::{AbortHandle, JoinSet};

use crate::discovery::Kind;
use crate::garbage::graph::{Graph, Node};

/// The graph, and who is to be looked at.
#[derive(Clone)]
pub(crate) struct Ownership {
    pub(crate) graph: Arc<Mutex<Graph>>,
    pub(crate) queue: Arc<Queue<String>>,
}

/// The running watches. Dropping it ends those that are its own.
pub(crate) struct Monitors {
    shared: HashMap<(&'static str, &'static str), Subscribe>,
    own: HashMap<(String, String), Option<AbortHandle>>,
    tasks: JoinSet<()>,
}

/// Subscribes to a shared informer, and returns what to wait for.
type Subscribe = Box<dyn Fn(&Arc<Kind>, &Ownership) -> futures::future::BoxFuture<'static, ()> + Send + Sync>;

impl Monitors {
    pub(crate) fn new(informers: &Informers) -> Self {
        let shared = [
            (("", "pods"), subscribe(informers.of::<Pod>())),
            (("", "nodes"), subscribe(informers.of::<ClusterNode>())),
            (("", "namespaces"), subscribe(informers.of::<Namespace>())),
            (("", "services"), subscribe(informers.of::<Service>())),
            (("", "endpoints"), subscribe(informers.of::<Endpoints>())),
            (("", "serviceaccounts"), subscribe(informers.of::<ServiceAccount>())),
            (("", "replicationcontrollers"), subscribe(informers.of::<ReplicationController>())),
            (("apps", "deployments"), subscribe(informers.of::<Deployment>())),
            (("apps", "replicasets"), subscribe(informers.of::<ReplicaSet>())),
            (("discovery.k8s.io", "endpointslices"), subscribe(informers.of::<EndpointSlice>())),
        ];
        Self { shared: shared.into(), own: HashMap::new(), tasks: JoinSet::new() }
    }

    /// Watches exactly these kinds from now on, and waits until all that is new has been listed once.
    pub(crate) async fn watch(&mut self, kinds: Vec<Kind>, client: &Client, into: &Ownership) {
        let name = |kind: &Kind| (kind.resource.group.clone(), kind.resource.plural.clone());
        let wanted: HashMap<_, _> = kinds.into_iter().map(|kind| (name(&kind), Arc::new(kind))).collect();
        self.own.retain(|name, task| {
            let is_wanted = wanted.contains_key(name);
            task.iter().filter(|_| !is_wanted).for_each(AbortHandle::abort);
            is_wanted
        });
        let mut synced = Vec::new();
        for (name, kind) in wanted {
            if self.own.contains_key(&name) {
                continue;
            }
            let (task, ready) = self.begin(&kind, client, into);
            self.own.insert(name, task);
            synced.push(ready);
        }
        futures::future::join_all(synced).await;
    }

    fn begin(
        &mut self,
        kind: &Arc<Kind>,
        client: &Client,
        into: &Ownership,
    ) -> (Option<AbortHandle>, futures::future::BoxFuture<'static, ()>) {
        let name = (kind.resource.group.as_str(), kind.resource.plural.as_str());
        if let Some(subscribe) = self.shared.get(&name) {
            return (None, subscribe(kind, into));
        }
        let informer = Informer::<PartialObjectMeta>::new(&kind.resource.kind);
        let ready = note_changes(&informer, kind, into);
        let source = MetadataOnly(Api::all_with(client.clone(), &kind.resource));
        (Some(self.tasks.spawn(follow(source, informer))), ready)
    }
}

fn subscribe<K: Watched>(informer: Informer<K>) -> Subscribe {
    Box::new(move |kind, into| note_changes(&informer, kind, into))
}

fn note_changes<K>(
    informer: &Informer<K>,
    kind: &Arc<Kind>,
    into: &Ownership,
) -> futures::future::BoxFuture<'static, ()>
where
    K: Resource + Send + Sync + 'static,
{
    let (source, kind, into) = (informer.clone(), kind.clone(), into.clone());
    informer.on_change(move |change| note(change, &source, &kind, &into));
    let informer = informer.clone();
    Box::pin(async move { informer.synced().await })
}

fn note<K: Resource>(change: &Change<K>, source: &Informer<K>, kind: &Arc<Kind>, into: &Ownership) {
    let mut graph = into.graph.lock();
    for side in change.sides() {
        let uid = side.meta().uid.clone().unwrap_or_default();
        // What is true now, not what the notification says: two of them may overtake each other.
        let present = source.find(&ObjectKey::of(side.meta()));
        let wake = match present.filter(|present| present.meta().uid.as_ref() == Some(&uid)) {
            Some(present) => graph.upsert(Node::of(kind, present.meta())),
            None => graph.remove(&uid),
        };
        wake.into_iter().for_each(|uid| into.queue.add(uid));
    }
}
