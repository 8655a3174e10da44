use std::sync::Arc;

use carob_reconcile::{Change, EventType, Informer, Next, ObjectKey, Queue, Reconcile, Recorder, controller_of};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::{Selector, SelectorExt};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use crate::claim::{Claim, adoption, claim, release};
use crate::context::Context;
use crate::deployment::plan::{Action, Observed, plan};
use crate::deployment::sets::{replicas, same_template};
use crate::deployment::status::{PROGRESSING, new_condition, set_condition};
use crate::pods::is_over;
use crate::write;

const NAME: &str = "deployment-controller";
const WORKERS: usize = 8;

/// Starts the controller.
pub(crate) fn start(context: &mut Context<'_>) {
    let queue = Arc::new(Queue::new());
    let controller = Arc::new(Deployments {
        client: context.client(NAME),
        recorder: context.recorder(NAME),
        deployments: context.informers.of(),
        sets: context.informers.of(),
        pods: context.informers.of(),
    });
    let wake = queue.clone();
    controller.deployments.on_change(move |change| {
        change.latest().into_iter().for_each(|deployment| wake.add(ObjectKey::of(&deployment.metadata)));
    });
    let (wake, deployments) = (queue.clone(), controller.deployments.clone());
    controller.sets.on_change(move |change| wake_owners(change, &deployments, &wake));
    let (wake, sets) = (queue.clone(), controller.sets.clone());
    controller.pods.on_change(move |change| wake_for_last_pod(change, &sets, &wake));
    context.spawn(controller, queue, WORKERS);
}

fn wake_owners(change: &Change<ReplicaSet>, deployments: &Informer<Deployment>, queue: &Queue<ObjectKey>) {
    for set in change.sides() {
        let namespace = set.namespace().unwrap_or_default();
        match controller_of(&set.metadata) {
            Some(owner) if owner.kind == "Deployment" => queue.add(ObjectKey::new(namespace, &owner.name)),
            Some(_) => {}
            None => {
                let all = deployments.in_namespace(&namespace);
                let adopters = all.iter().filter(|deployment| selects(deployment, set));
                adopters.for_each(|deployment| queue.add(ObjectKey::of(&deployment.metadata)));
            }
        }
    }
}

/// `Recreate` waits for the last old Pod to be over: its end wakes the Deployment.
fn wake_for_last_pod(change: &Change<Pod>, sets: &Informer<ReplicaSet>, queue: &Queue<ObjectKey>) {
    let is_end = change.new.as_ref().is_none_or(|pod| is_over(pod));
    let Some(pod) = change.old.as_ref().filter(|_| is_end) else { return };
    let Some(set) = controller_of(&pod.metadata).filter(|owner| owner.kind == "ReplicaSet") else { return };
    let namespace = pod.namespace().unwrap_or_default();
    let set = sets.find(&ObjectKey::new(&namespace, &set.name));
    if let Some(owner) = set.as_ref().and_then(|set| controller_of(&set.metadata)) {
        queue.add(ObjectKey::new(namespace, &owner.name));
    }
}

fn selector(deployment: &Deployment) -> Option<Selector> {
    let selector: Selector = deployment.spec.selector.clone().try_into().ok()?;
    (!selector.selects_all()).then_some(selector)
}

fn selects(deployment: &Deployment, set: &ReplicaSet) -> bool {
    selector(deployment).is_some_and(|selector| selector.matches(set.labels()))
}

struct Deployments {
    client: Client,
    recorder: Recorder,
    deployments: Informer<Deployment>,
    sets: Informer<ReplicaSet>,
    pods: Informer<Pod>,
}

impl Reconcile for Deployments {
    type Key = ObjectKey;
    const NAME: &'static str = NAME;

    async fn reconcile(&self, key: ObjectKey) -> kube::Result<Next> {
        self.deployments.synced().await;
        self.sets.synced().await;
        self.pods.synced().await;
        let Some(deployment) = self.deployments.find(&key) else { return Ok(Next::Done) };
        let Some(claim) = self.claim(&deployment) else { return Ok(Next::Done) };
        self.adopt_and_release(&deployment, &claim).await?;
        let plan = plan(&self.observe(deployment.clone(), claim), Timestamp::now());
        for action in plan.actions {
            self.execute(&deployment, action).await?;
        }
        self.report(&deployment, plan.status).await?;
        Ok(plan.look_again.map_or(Next::Done, Next::After))
    }
}

impl Deployments {
    fn claim(&self, deployment: &Deployment) -> Option<Claim<ReplicaSet>> {
        let Some(selector) = selector(deployment) else {
            let message = "This deployment is selecting all pods. A non-empty selector is required.";
            self.recorder.event(deployment, EventType::Warning, "SelectingAll", message);
            return None;
        };
        let owned = self.sets.owned_by(&deployment.uid().unwrap_or_default());
        let orphans = self.sets.without_controller(&deployment.namespace().unwrap_or_default());
        Some(claim(&deployment.metadata, &selector, owned, orphans))
    }

    fn observe(&self, deployment: Arc<Deployment>, claim: Claim<ReplicaSet>) -> Observed {
        let uids = claim.held.iter().filter_map(|set| set.uid());
        let running = uids.filter(|uid| self.pods.owned_by(uid).iter().any(|pod| !is_over(pod))).collect();
        Observed { deployment, sets: claim.held, running }
    }

    async fn adopt_and_release(&self, deployment: &Deployment, claim: &Claim<ReplicaSet>) -> kube::Result<()> {
        if !claim.adopt.is_empty() {
            let live = self.deployments_in(deployment).get_opt(&deployment.name_any()).await?;
            let is_same =
                |live: Deployment| live.uid() == deployment.uid() && live.metadata.deletion_timestamp.is_none();
            if live.is_some_and(is_same) {
                for set in &claim.adopt {
                    self.patch(set, Patch::Strategic(adoption(deployment, &set.metadata))).await?;
                }
            }
        }
        for set in &claim.release {
            self.patch(set, Patch::Strategic(release(&deployment.metadata, &set.metadata))).await?;
        }
        Ok(())
    }

    async fn execute(&self, deployment: &Deployment, action: Action) -> kube::Result<()> {
        match action {
            Action::Create(set) => self.create(deployment, *set).await,
            Action::Update { set, annotations, min_ready_seconds } => {
                let mut patch = json!({ "metadata": { "uid": set.uid(), "annotations": annotations } });
                if let Some(seconds) = min_ready_seconds {
                    patch["spec"] = json!({ "minReadySeconds": seconds });
                }
                self.patch(&set, Patch::Merge(patch)).await
            }
            Action::Resize { set, replicas, annotations } => {
                self.resize(deployment, &set, replicas, json!(annotations)).await
            }
            Action::Delete(set) => write::delete(&self.sets_in(deployment), &self.sets, &set).await,
            Action::SetRevision(revision) => self.set_revision(deployment, revision).await,
        }
    }

    async fn create(&self, deployment: &Deployment, set: ReplicaSet) -> kube::Result<()> {
        let name = set.name_any();
        match self.sets_in(deployment).create(&PostParams::default(), &set).await {
            Ok(created) => {
                let size = replicas(&created);
                self.sets.observe(created);
                if size > 0 {
                    self.tell_scaled(deployment, &name, 0, size);
                }
                Ok(())
            }
            Err(error) if write::is_conflict(&error) => self.settle_collision(deployment, &set, error).await,
            Err(error) if write::is_terminating_namespace(&error) => Ok(()),
            Err(error) => {
                let message = format!("Failed to create new replica set \"{name}\": {}", write::message(&error));
                self.recorder.event(deployment, EventType::Warning, "ReplicaSetCreateError", message.clone());
                let mut status = deployment.status.clone().unwrap_or_default();
                let failed = new_condition(PROGRESSING, "False", "ReplicaSetCreateError", message, Timestamp::now());
                set_condition(&mut status, failed);
                self.report(deployment, status).await?;
                Err(error)
            }
        }
    }

    /// A set of that name exists. It may be ours, written before we read; otherwise two templates have one hash, and
    /// the next try takes another.
    async fn settle_collision(
        &self,
        deployment: &Deployment,
        set: &ReplicaSet,
        error: kube::Error,
    ) -> kube::Result<()> {
        let Some(present) = self.sets_in(deployment).get_opt(&set.name_any()).await? else { return Err(error) };
        let is_ours =
            controller_of(&present.metadata).is_some_and(|owner| Some(&owner.uid) == deployment.uid().as_ref());
        let is_same = matches!((&present.spec.template, &set.spec.template), (Some(a), Some(b)) if same_template(a, b));
        if is_ours && is_same {
            self.sets.observe(present);
            return Ok(());
        }
        let mut status = deployment.status.clone().unwrap_or_default();
        status.collision_count = Some(status.collision_count.unwrap_or(0) + 1);
        self.report(deployment, status).await?;
        Err(error)
    }

    async fn resize(
        &self,
        deployment: &Deployment,
        set: &ReplicaSet,
        size: i32,
        annotations: Value,
    ) -> kube::Result<()> {
        let patch = json!({
            "metadata": { "uid": set.uid(), "annotations": annotations },
            "spec": { "replicas": size },
        });
        self.patch(set, Patch::Merge(patch)).await?;
        if size != replicas(set) {
            self.tell_scaled(deployment, &set.name_any(), replicas(set), size);
        }
        Ok(())
    }

    fn tell_scaled(&self, deployment: &Deployment, set: &str, from: i32, to: i32) {
        let direction = if to > from { "up" } else { "down" };
        let message = format!("Scaled {direction} replica set {set} from {from} to {to}");
        self.recorder.event(deployment, EventType::Normal, "ScalingReplicaSet", message);
    }

    async fn patch(&self, set: &ReplicaSet, patch: Patch<Value>) -> kube::Result<()> {
        let api: Api<ReplicaSet> = Api::namespaced(self.client.clone(), &set.namespace().unwrap_or_default());
        self.sets.observe(api.patch(&set.name_any(), &PatchParams::default(), &patch).await?);
        Ok(())
    }

    async fn set_revision(&self, deployment: &Deployment, revision: String) -> kube::Result<()> {
        let patch = json!({ "metadata": {
            "uid": deployment.uid(),
            "annotations": { "deployment.kubernetes.io/revision": revision },
        } });
        let api = self.deployments_in(deployment);
        // Through the status: an annotation that is written there is not a new wish, so the generation stays.
        let patched = api.patch_status(&deployment.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await?;
        self.deployments.observe(patched);
        Ok(())
    }

    async fn report(&self, deployment: &Deployment, status: DeploymentStatus) -> kube::Result<()> {
        if deployment.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let patch = json!({ "metadata": { "uid": deployment.uid() }, "status": {
            "observedGeneration": status.observed_generation,
            "replicas": status.replicas,
            "updatedReplicas": status.updated_replicas,
            "readyReplicas": status.ready_replicas,
            "availableReplicas": status.available_replicas,
            "unavailableReplicas": status.unavailable_replicas,
            "collisionCount": status.collision_count,
            "conditions": status.conditions,
        } });
        let api = self.deployments_in(deployment);
        match api.patch_status(&deployment.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(patched) => self.deployments.observe(patched),
            Err(error) if write::is_gone(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn deployments_in(&self, deployment: &Deployment) -> Api<Deployment> {
        Api::namespaced(self.client.clone(), &deployment.namespace().unwrap_or_default())
    }

    fn sets_in(&self, deployment: &Deployment) -> Api<ReplicaSet> {
        Api::namespaced(self.client.clone(), &deployment.namespace().unwrap_or_default())
    }
}
