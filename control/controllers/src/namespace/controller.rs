use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use carob_reconcile::{Informer, Next, ObjectKey, Queue, Reconcile};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use kube::{Api, Client, ResourceExt};
use parking_lot::Mutex;
use serde_json::json;

use crate::context::Context;
use crate::discovery::{Kind, deletable};
use crate::namespace::plan::{FINALIZER, Round, plan};
use crate::namespace::progress::Progress;
use crate::write;

const NAME: &str = "namespace-controller";
const WORKERS: usize = 4;
/// Many Pods may go at once: their ends are gathered for so long.
const GATHER: Duration = Duration::from_millis(50);

/// Starts the controller.
pub(crate) fn start(context: &mut Context<'_>) {
    let controller =
        Namespaces { client: context.client(NAME), namespaces: context.informers.of(), progress: Mutex::default() };
    let queue = Arc::new(Queue::new());
    let wake = queue.clone();
    controller.namespaces.on_change(move |change| {
        let ending = change.new.as_ref().filter(|namespace| is_ending(namespace));
        ending.into_iter().for_each(|namespace| wake.add(namespace.name_any()));
    });
    // What takes its time in a namespace that ends is its Pods: look again as soon as one is gone.
    let (wake, namespaces) = (queue.clone(), controller.namespaces.clone());
    context.informers.of::<Pod>().on_change(move |change| {
        let gone = change.old.as_ref().filter(|_| change.new.is_none()).and_then(|pod| pod.namespace());
        let ending = |name: &String| namespaces.find(&ObjectKey::new("", name)).is_some_and(|found| is_ending(&found));
        gone.filter(ending).into_iter().for_each(|name| wake.add_after(name, GATHER));
    });
    context.spawn(Arc::new(controller), queue, WORKERS);
}

fn is_ending(namespace: &Namespace) -> bool {
    let finalizers = namespace.spec.as_ref().and_then(|spec| spec.finalizers.as_ref());
    let is_held = finalizers.is_some_and(|finalizers| finalizers.iter().any(|finalizer| finalizer == FINALIZER));
    namespace.metadata.deletion_timestamp.is_some() && is_held
}

struct Namespaces {
    client: Client,
    namespaces: Informer<Namespace>,
    /// How far each deletion is. A run takes it out and puts it back: there is never more than one of a namespace.
    progress: Mutex<HashMap<String, Progress>>,
}

impl Reconcile for Namespaces {
    type Key = String;
    const NAME: &'static str = NAME;

    async fn reconcile(&self, name: String) -> kube::Result<Next> {
        let known = self.progress.lock().remove(&name);
        let namespace = self.namespaces.find(&ObjectKey::new("", &name));
        let Some(namespace) = namespace.filter(|namespace| is_ending(namespace)) else { return Ok(Next::Done) };
        let mut progress = Progress::of(&namespace, known);
        let round = self.delete_content(&name, &mut progress).await;
        let plan = plan(&namespace, &round, progress.begin_round(), Timestamp::now());
        self.progress.lock().insert(name.clone(), progress);
        if plan.finalize {
            self.finalize(&namespace).await?;
            self.progress.lock().remove(&name);
            return Ok(Next::Done);
        }
        self.report(&namespace, plan.conditions).await?;
        Ok(Next::After(plan.look_again))
    }
}

impl Namespaces {
    /// One round over the kinds that were not seen empty yet. What fails is for the next round; the rest is done.
    async fn delete_content(&self, namespace: &str, progress: &mut Progress) -> Round {
        let mut round = Round::default();
        let kinds = match progress.pending.take() {
            Some(kinds) => kinds,
            None => match deletable(&self.client).await {
                Ok(kinds) => kinds.into_iter().filter(|kind| kind.is_namespaced).collect(),
                Err(error) => {
                    round.discovery_failure = Some(write::message(&error));
                    return round;
                }
            },
        };
        let mut pending = Vec::new();
        for kind in kinds {
            let is_empty = self.delete_kind(namespace, &kind, &mut round).await.unwrap_or_else(|error| {
                round.failures.push(format!("{}: {}", title(&kind), write::message(&error)));
                false
            });
            if !is_empty {
                pending.push(kind);
            }
        }
        progress.pending = Some(pending);
        round
    }

    /// Deletes all objects of one kind, in the background, and counts those that are still there. True when none is.
    async fn delete_kind(&self, namespace: &str, kind: &Kind, round: &mut Round) -> kube::Result<bool> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &kind.resource);
        if api.list_metadata(&ListParams::default().limit(1)).await?.items.is_empty() {
            return Ok(true);
        }
        api.delete_collection(&DeleteParams::background(), &ListParams::default()).await?;
        let left = api.list_metadata(&ListParams::default()).await?.items;
        if !left.is_empty() {
            round.remaining.insert(title(kind), left.len());
        }
        for finalizer in left.iter().flat_map(|object| object.finalizers()) {
            *round.finalizers.entry(finalizer.clone()).or_default() += 1;
        }
        Ok(left.is_empty())
    }

    /// Takes our finalizer off the namespace; without any it is gone.
    async fn finalize(&self, namespace: &Namespace) -> kube::Result<()> {
        let mut freed = namespace.clone();
        if let Some(finalizers) = freed.spec.as_mut().and_then(|spec| spec.finalizers.as_mut()) {
            finalizers.retain(|finalizer| finalizer != FINALIZER);
        }
        // Of the object as it is remembered: should it have changed meanwhile, that is a conflict, and a new run.
        let api = self.api();
        let result = api.replace_subresource("finalize", &namespace.name_any(), &PostParams::default(), &freed).await;
        match result {
            Ok(_) => Ok(()),
            Err(error) if write::is_gone(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn report(&self, namespace: &Namespace, conditions: Vec<NamespaceCondition>) -> kube::Result<()> {
        if namespace.status.as_ref().and_then(|status| status.conditions.as_ref()) == Some(&conditions) {
            return Ok(());
        }
        let patch = json!({ "status": { "conditions": conditions } });
        match self.api().patch_status(&namespace.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(patched) => self.namespaces.observe(patched),
            Err(error) if write::is_gone(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn api(&self) -> Api<Namespace> {
        Api::all(self.client.clone())
    }
}

fn title(kind: &Kind) -> String {
    format!("{}.{}", kind.resource.plural, kind.resource.group)
}
