use std::sync::Arc;

use carob_reconcile::{Change, EventType, Informer, Next, ObjectKey, Queue, Reconcile, Recorder, controller_of};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::{NamespaceResourceScope, SelectorExt};
use kube::{Api, Client};
use serde_json::json;

use crate::batch::slow_start;
use crate::claim::{adoption, claim, release};
use crate::context::Context;
use crate::replicas::owner::ReplicaOwner;
use crate::replicas::plan::{Plan, plan, pod_from_template};
use crate::replicas::status::{Failure, status};
use crate::write;

const WORKERS: usize = 8;

/// Starts the controller of one of the two kinds.
pub(crate) fn start<O: ReplicaOwner<Scope = NamespaceResourceScope>>(context: &mut Context<'_>) {
    let queue = Arc::new(Queue::new());
    let controller = Arc::new(Replicas {
        client: context.client(O::CONTROLLER),
        recorder: context.recorder(O::CONTROLLER),
        owners: context.informers.of::<O>(),
        pods: context.informers.of(),
    });
    let wake = queue.clone();
    controller.owners.on_change(move |change| {
        change.latest().into_iter().for_each(|owner| wake.add(ObjectKey::of(owner.meta())));
    });
    let (wake, owners) = (queue.clone(), controller.owners.clone());
    controller.pods.on_change(move |change| wake_owners(change, &owners, &wake));
    context.spawn(controller, queue, WORKERS);
}

/// A Pod wakes its controller, before and after; a Pod without one wakes all who might adopt it.
fn wake_owners<O: ReplicaOwner>(change: &Change<Pod>, owners: &Informer<O>, queue: &Queue<ObjectKey>) {
    for pod in change.sides() {
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        match controller_of(&pod.metadata) {
            Some(owner) if owner.kind == O::kind(&()) => queue.add(ObjectKey::new(namespace, &owner.name)),
            Some(_) => {}
            None => adopters(pod, &namespace, owners).for_each(|key| queue.add(key)),
        }
    }
}

fn adopters<O: ReplicaOwner>(pod: &Pod, namespace: &str, owners: &Informer<O>) -> impl Iterator<Item = ObjectKey> {
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    let all = if labels.is_empty() { Vec::new() } else { owners.in_namespace(namespace) };
    all.into_iter()
        .filter(move |owner| owner.selector().is_some_and(|selector| selector.matches(&labels)))
        .map(|owner| ObjectKey::of(owner.meta()))
}

struct Replicas<O: ReplicaOwner> {
    client: Client,
    recorder: Recorder,
    owners: Informer<O>,
    pods: Informer<Pod>,
}

impl<O: ReplicaOwner<Scope = NamespaceResourceScope>> Reconcile for Replicas<O> {
    type Key = ObjectKey;
    const NAME: &'static str = O::CONTROLLER;

    async fn reconcile(&self, key: ObjectKey) -> kube::Result<Next> {
        self.owners.synced().await;
        self.pods.synced().await;
        let Some(owner) = self.owners.find(&key) else { return Ok(Next::Done) };
        let Some(plan) = self.plan(&owner) else { return Ok(Next::Done) };
        let outcome = self.execute(&owner, &plan).await;
        let pods = match outcome {
            // What was deleted just now is not counted once more: who rolls from one set to the next relies on it.
            Ok(()) => plan.remaining(),
            Err(_) => plan.active.clone(),
        };
        self.report(&owner, &pods, outcome.as_ref().err().and_then(Problem::failure)).await?;
        match outcome {
            Ok(()) => Ok(plan.look_again.map_or(Next::Done, Next::After)),
            Err(Problem::Create(error)) if write::is_terminating_namespace(&error) => Ok(Next::Done),
            Err(Problem::Create(error) | Problem::Delete(error) | Problem::Claim(error)) => Err(error),
        }
    }
}

/// What went wrong, and at what.
enum Problem {
    Claim(kube::Error),
    Create(kube::Error),
    Delete(kube::Error),
}

impl Problem {
    fn failure(&self) -> Option<Failure> {
        match self {
            Self::Claim(_) => None,
            Self::Create(error) => Some(Failure { reason: "FailedCreate", message: write::message(error) }),
            Self::Delete(error) => Some(Failure { reason: "FailedDelete", message: write::message(error) }),
        }
    }
}

impl<O: ReplicaOwner<Scope = NamespaceResourceScope>> Replicas<O> {
    fn plan(&self, owner: &O) -> Option<Plan> {
        let selector = owner.selector()?;
        let meta = owner.meta();
        let uid = meta.uid.as_deref().unwrap_or_default();
        let owned = self.pods.owned_by(uid);
        let orphans = self.pods.without_controller(meta.namespace.as_deref().unwrap_or_default());
        let related: Vec<_> = owner.related(&self.owners).iter().flat_map(|uid| self.pods.owned_by(uid)).collect();
        Some(plan(owner, claim(meta, &selector, owned, orphans), &related, Timestamp::now()))
    }

    async fn execute(&self, owner: &Arc<O>, plan: &Plan) -> Result<(), Problem> {
        self.adopt_and_release(owner, plan).await.map_err(Problem::Claim)?;
        self.create(owner, plan.create).await.map_err(Problem::Create)?;
        self.delete(owner, &plan.delete).await.map_err(Problem::Delete)
    }

    async fn adopt_and_release(&self, owner: &Arc<O>, plan: &Plan) -> kube::Result<()> {
        if !plan.adopt.is_empty() && !self.may_adopt(owner).await? {
            return Ok(());
        }
        let api = self.pods_of(owner);
        for pod in &plan.adopt {
            self.patch(&api, pod, adoption(owner.as_ref(), &pod.metadata)).await?;
        }
        for pod in &plan.release {
            self.patch(&api, pod, release(owner.meta(), &pod.metadata)).await?;
        }
        Ok(())
    }

    /// Asks the API server itself whether the owner still is who we think: what is remembered may be old, and an
    /// adoption by the dead would make orphans' deletion.
    async fn may_adopt(&self, owner: &Arc<O>) -> kube::Result<bool> {
        let live = self.owner_api(owner).get_opt(owner.meta().name.as_deref().unwrap_or_default()).await?;
        Ok(live.is_some_and(|live| live.meta().uid == owner.meta().uid && live.meta().deletion_timestamp.is_none()))
    }

    async fn patch(&self, api: &Api<Pod>, pod: &Pod, patch: serde_json::Value) -> kube::Result<()> {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        match api.patch(name, &PatchParams::default(), &Patch::Strategic(patch)).await {
            Ok(pod) => self.pods.observe(pod),
            Err(error) if write::is_gone(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn create(&self, owner: &Arc<O>, count: usize) -> kube::Result<()> {
        let Some(pod) = pod_from_template(owner.as_ref()).map(Arc::new) else { return Ok(()) };
        let (_, failure) = slow_start(count, |_| {
            let (api, pods, recorder) = (self.pods_of(owner), self.pods.clone(), self.recorder.clone());
            let (owner, pod) = (owner.clone(), pod.clone());
            async move {
                let created = api.create(&PostParams::default(), &pod).await?;
                let name = created.metadata.name.clone().unwrap_or_default();
                pods.observe(created);
                recorder.event(owner.as_ref(), EventType::Normal, "SuccessfulCreate", format!("Created pod: {name}"));
                Ok(())
            }
        })
        .await;
        let Some(error) = failure else { return Ok(()) };
        if !write::is_terminating_namespace(&error) {
            let message = format!("Error creating: {}", write::message(&error));
            self.recorder.event(owner.as_ref(), EventType::Warning, "FailedCreate", message);
        }
        Err(error)
    }

    async fn delete(&self, owner: &Arc<O>, doomed: &[Arc<Pod>]) -> kube::Result<()> {
        let (_, failure) = slow_start(doomed.len(), |index| {
            let (api, pods, recorder) = (self.pods_of(owner), self.pods.clone(), self.recorder.clone());
            let (owner, pod) = (owner.clone(), doomed[index].clone());
            async move {
                let name = pod.metadata.name.clone().unwrap_or_default();
                let result = write::delete(&api, &pods, &pod).await;
                let (type_, reason, message) = match &result {
                    Ok(()) => (EventType::Normal, "SuccessfulDelete", format!("Deleted pod: {name}")),
                    Err(error) => {
                        (EventType::Warning, "FailedDelete", format!("Error deleting: {}", write::message(error)))
                    }
                };
                recorder.event(owner.as_ref(), type_, reason, message);
                result
            }
        })
        .await;
        failure.map_or(Ok(()), Err)
    }

    async fn report(&self, owner: &Arc<O>, pods: &[Arc<Pod>], failure: Option<Failure>) -> kube::Result<()> {
        let new = status(owner.as_ref(), pods, failure.as_ref(), Timestamp::now());
        if new == owner.status() {
            return Ok(());
        }
        let patch = json!({ "metadata": { "uid": owner.meta().uid }, "status": new });
        let name = owner.meta().name.as_deref().unwrap_or_default();
        match self.owner_api(owner).patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(owner) => self.owners.observe(owner),
            Err(error) if write::is_gone(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn pods_of(&self, owner: &Arc<O>) -> Api<Pod> {
        Api::namespaced(self.client.clone(), owner.meta().namespace.as_deref().unwrap_or_default())
    }

    fn owner_api(&self, owner: &Arc<O>) -> Api<O> {
        Api::namespaced(self.client.clone(), owner.meta().namespace.as_deref().unwrap_or_default())
    }
}
