use std::sync::Arc;

use carob_reconcile::{Informer, Next, ObjectKey, Queue, Reconcile};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use super::plan::{class_name, plan, points};
use crate::context::Context;
use crate::write;

const NAME: &str = "ingress-status-controller";
const WORKERS: usize = 2;

pub(crate) fn start(context: &mut Context<'_>) {
    let controller = Arc::new(Addresses {
        client: context.client(NAME),
        ingresses: context.informers.of(),
        classes: context.informers.of(),
        nodes: context.informers.of(),
    });
    let queue = Arc::new(Queue::new());
    let wake = queue.clone();
    controller.ingresses.on_change(move |change| {
        change.latest().into_iter().for_each(|ingress| wake.add(ObjectKey::of(&ingress.metadata)));
    });
    let (wake, all) = (queue.clone(), controller.ingresses.clone());
    controller.classes.on_change(move |_| add_all(&all, &wake));
    let (wake, all) = (queue.clone(), controller.ingresses.clone());
    controller.nodes.on_change(move |change| {
        // Heartbeats change nothing here.
        let told = |node: &Arc<Node>| points([&**node]);
        if change.old.as_ref().map(told) != change.new.as_ref().map(told) {
            add_all(&all, &wake);
        }
    });
    context.spawn(controller, queue, WORKERS);
}

fn add_all(ingresses: &Informer<Ingress>, queue: &Queue<ObjectKey>) {
    ingresses.all().into_iter().for_each(|ingress| queue.add(ObjectKey::of(&ingress.metadata)));
}

struct Addresses {
    client: Client,
    ingresses: Informer<Ingress>,
    classes: Informer<IngressClass>,
    nodes: Informer<Node>,
}

impl Reconcile for Addresses {
    type Key = ObjectKey;
    const NAME: &'static str = NAME;

    async fn reconcile(&self, key: ObjectKey) -> kube::Result<Next> {
        self.ingresses.synced().await;
        self.classes.synced().await;
        self.nodes.synced().await;
        let Some(ingress) = self.ingresses.find(&key) else { return Ok(Next::Done) };
        let class = class_name(&ingress).and_then(|name| self.classes.find(&ObjectKey::new("", name)));
        let nodes = self.nodes.all();
        let points = points(nodes.iter().map(|node| &**node));
        let Some(wanted) = plan(&ingress, class.as_deref(), &points) else { return Ok(Next::Done) };
        let patch = json!({
            "metadata": { "uid": ingress.metadata.uid }, "status": { "loadBalancer": { "ingress": wanted } },
        });
        let api: Api<Ingress> = Api::namespaced(self.client.clone(), &key.namespace);
        match api.patch_status(&key.name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(written) => self.ingresses.observe(written),
            Err(error) if write::is_gone(&error) || write::is_conflict(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(Next::Done)
    }
}
