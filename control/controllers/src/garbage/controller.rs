use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use carob_reconcile::{Backoff, Next, Queue, Reconcile};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions, PropagationPolicy};
use kube::core::{DynamicObject, PartialObjectMeta};
use kube::{Client, ResourceExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::context::Context;
use crate::discovery::{Kind, deletable};
use crate::garbage::graph::{FOREGROUND, Graph, Node};
use crate::garbage::monitors::{Monitors, Ownership};
use crate::garbage::plan::{Asked, Verdict, plan};
use crate::write;

const NAME: &str = "generic-garbage-collector";
const WORKERS: usize = 16;
/// New kinds are found within this time.
const REDISCOVER: Duration = Duration::from_secs(30);
/// An owner of a kind that is not served (yet) is looked for again after this time.
const UNKNOWN_KIND: Duration = Duration::from_secs(30);
/// Uids that are known to be nobody's; past this number they are forgotten and asked for again.
const ABSENT: usize = 4096;

/// Starts the controller.
pub(crate) fn start(context: &mut Context<'_>) {
    let ownership = Ownership { graph: Arc::default(), queue: Arc::new(Queue::new()) };
    let garbage = Arc::new(Garbage {
        client: context.client(NAME),
        graph: ownership.graph.clone(),
        kinds: Mutex::default(),
        absent: Mutex::default(),
        queue: ownership.queue.clone(),
    });
    let monitors = Monitors::new(context.informers);
    context.tasks.spawn(run(garbage, monitors, ownership));
}

/// The first decision waits for the first complete graph; from then on kinds may come and go.
async fn run(garbage: Arc<Garbage>, mut monitors: Monitors, ownership: Ownership) {
    garbage.discover(&mut monitors, &ownership).await;
    let decide = carob_reconcile::run(garbage.clone(), garbage.queue.clone(), WORKERS);
    let rediscover = async {
        loop {
            sleep(REDISCOVER).await;
            garbage.discover(&mut monitors, &ownership).await;
        }
    };
    tokio::join!(decide, rediscover);
}

struct Garbage {
    client: Client,
    graph: Arc<Mutex<Graph>>,
    kinds: Mutex<Vec<Kind>>,
    absent: Mutex<HashSet<String>>,
    queue: Arc<Queue<String>>,
}

impl Reconcile for Garbage {
    /// A uid.
    type Key = String;
    const NAME: &'static str = NAME;

    async fn reconcile(&self, uid: String) -> kube::Result<Next> {
        let Some(node) = self.graph.lock().node(&uid).cloned() else { return Ok(Next::Done) };
        let mut asked = HashMap::new();
        loop {
            let verdict = plan(&self.graph.lock(), &uid, &asked);
            let Verdict::Ask(owners) = verdict else { return self.execute(&node, verdict).await };
            for owner in owners {
                let Some(answer) = self.ask(&node, &owner).await? else { return Ok(Next::After(UNKNOWN_KIND)) };
                asked.insert(owner.uid, answer);
            }
        }
    }
}

impl Garbage {
    async fn discover(&self, monitors: &mut Monitors, ownership: &Ownership) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        let kinds = loop {
            match deletable(&self.client).await {
                Ok(kinds) => break kinds,
                Err(error) => {
                    tracing::warn!(controller = NAME, %error, "cannot find out what kinds there are; trying again");
                    sleep(backoff.pause()).await;
                }
            }
        };
        self.kinds.lock().clone_from(&kinds);
        let lasting = kinds.into_iter().filter(|kind| kind.is_lasting() && kind.can_watch).collect();
        monitors.watch(lasting, &self.client, ownership).await;
    }

    /// Asks the API about an owner that the graph does not know. `None` when its kind is not served, or cannot be
    /// the owner of such an object.
    async fn ask(&self, dependent: &Node, owner: &OwnerReference) -> kube::Result<Option<Asked>> {
        if self.absent.lock().contains(&owner.uid) {
            return Ok(Some(Asked::Absent));
        }
        let Some(kind) = self.kind_of(owner) else { return Ok(None) };
        if kind.is_namespaced && dependent.namespace.is_none() {
            return Ok(None);
        }
        let api = self.api(&kind, dependent.namespace.as_deref());
        let live = api.get_metadata_opt(&owner.name).await?;
        Ok(Some(match live.filter(|live| live.uid().as_ref() == Some(&owner.uid)) {
            None => {
                self.remember_absent(&owner.uid);
                Asked::Absent
            }
            Some(live) if live.metadata.deletion_timestamp.is_some() && has_foreground(&live) => Asked::Waiting,
            Some(_) => Asked::Present,
        }))
    }

    async fn execute(&self, node: &Node, verdict: Verdict) -> kube::Result<Next> {
        match verdict {
            Verdict::Keep | Verdict::Ask(_) => {}
            Verdict::Await(dependents) => dependents.into_iter().for_each(|dependent| self.queue.add(dependent)),
            Verdict::Delete(policy) => self.delete(node, policy).await?,
            Verdict::KeepOwners(owners) => self.patch(node, json!({ "ownerReferences": owners })).await?,
            Verdict::Release(finalizer) => {
                let rest: Vec<_> = node.finalizers.iter().filter(|present| *present != finalizer).collect();
                self.patch(node, json!({ "finalizers": rest })).await?;
            }
            Verdict::Orphan(dependents) => {
                // One that cannot be set free now does not hold up the others.
                let mut result = Ok(());
                for dependent in dependents {
                    result = result.and(self.set_free(&dependent, &node.uid).await);
                }
                result?;
                // The graph is told by the watch; then the finalizer comes off.
                return Ok(Next::After(Duration::from_millis(50)));
            }
        }
        Ok(Next::Done)
    }

    async fn set_free(&self, dependent: &str, owner: &str) -> kube::Result<()> {
        let Some(dependent) = self.graph.lock().node(dependent).cloned() else { return Ok(()) };
        let others: Vec<_> = dependent.owners.iter().filter(|reference| reference.uid != owner).collect();
        self.patch(&dependent, json!({ "ownerReferences": others })).await
    }

    /// Deletes the object as the graph knows it: should it have changed meanwhile, that is a conflict, and a new run.
    async fn delete(&self, node: &Node, policy: PropagationPolicy) -> kube::Result<()> {
        let params = DeleteParams {
            propagation_policy: Some(policy),
            preconditions: Some(Preconditions {
                uid: Some(node.uid.clone()),
                resource_version: node.resource_version.clone(),
            }),
            ..DeleteParams::default()
        };
        match self.api(&node.kind, node.namespace.as_deref()).delete(&node.name, &params).await {
            Ok(_) => Ok(()),
            Err(error) if write::is_gone(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn patch(&self, node: &Node, mut metadata: Value) -> kube::Result<()> {
        metadata["uid"] = json!(node.uid);
        metadata["resourceVersion"] = json!(node.resource_version);
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        let api = self.api(&node.kind, node.namespace.as_deref());
        match api.patch_metadata(&node.name, &PatchParams::default(), &patch).await {
            Ok(_) => Ok(()),
            Err(error) if write::is_gone(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn kind_of(&self, owner: &OwnerReference) -> Option<Kind> {
        let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
        let kinds = self.kinds.lock();
        kinds.iter().find(|kind| kind.resource.group == group && kind.resource.kind == owner.kind).cloned()
    }

    fn remember_absent(&self, uid: &str) {
        let mut absent = self.absent.lock();
        if absent.len() >= ABSENT {
            absent.clear();
        }
        absent.insert(uid.to_owned());
    }

    fn api(&self, kind: &Kind, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace.filter(|_| kind.is_namespaced) {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &kind.resource),
            None => Api::all_with(self.client.clone(), &kind.resource),
        }
    }
}

fn has_foreground(object: &PartialObjectMeta) -> bool {
    object.finalizers().iter().any(|finalizer| finalizer == FOREGROUND)
}
