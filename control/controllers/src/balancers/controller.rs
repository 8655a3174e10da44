use std::net::IpAddr;
use std::sync::Arc;

use carob_reconcile::{Change, EventType, Informer, Next, ObjectKey, Queue, Reconcile, Recorder};
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::plan::{Verdict, ingress, is_ours, verdict};
use crate::context::Context;
use crate::write;

const NAME: &str = "service-controller";
/// One at a time, so that no two Services get the same port.
const WORKERS: usize = 1;

/// Starts the controller.
pub(crate) fn start(context: &mut Context<'_>) {
    let controller = Balancers {
        client: context.client(NAME),
        recorder: context.recorder(NAME),
        services: context.informers.of(),
        nodes: context.informers.of(),
        slices: context.informers.of(),
    };
    let queue = Arc::new(Queue::new());
    let (wake, services) = (queue.clone(), controller.services.clone());
    controller.services.on_change(move |change| {
        // What one lets go another may wait for.
        if change.sides().any(|service| is_ours(service)) {
            wake_all(&services, &wake);
        }
    });
    let (wake, services) = (queue.clone(), controller.services.clone());
    controller.nodes.on_change(move |change| {
        if is_news(change) {
            wake_all(&services, &wake);
        }
    });
    let (wake, services) = (queue.clone(), controller.services.clone());
    controller.slices.on_change(move |change| {
        let slice = change.latest();
        let service = slice.and_then(|slice| Some((slice.namespace()?, slice.labels().get(SERVICE_NAME)?.clone())));
        let key = service.map(|(namespace, name)| ObjectKey::new(&namespace, &name));
        let is_balanced = |key: &ObjectKey| services.find(key).is_some_and(|service| is_ours(&service));
        key.filter(is_balanced).into_iter().for_each(|key| wake.add(key));
    });
    context.spawn(Arc::new(controller), queue, WORKERS);
}

const SERVICE_NAME: &str = "kubernetes.io/service-name";

fn wake_all(services: &Informer<Service>, queue: &Queue<ObjectKey>) {
    let ours = services.all().into_iter().filter(|service| is_ours(service));
    ours.for_each(|service| queue.add(ObjectKey::of(&service.metadata)));
}

/// Whether the change is more than a heartbeat.
fn is_news(change: &Change<Node>) -> bool {
    let told = |node: &Arc<Node>| {
        let status = node.status.clone().unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default().into_iter();
        let ready: Vec<String> = conditions.filter(|one| one.type_ == "Ready").map(|one| one.status).collect();
        (node.labels().clone(), status.addresses, ready, node.metadata.deletion_timestamp.is_some())
    };
    change.old.as_ref().map(told) != change.new.as_ref().map(told)
}

struct Balancers {
    client: Client,
    recorder: Recorder,
    services: Informer<Service>,
    nodes: Informer<Node>,
    slices: Informer<EndpointSlice>,
}

impl Reconcile for Balancers {
    type Key = ObjectKey;
    const NAME: &'static str = NAME;

    async fn reconcile(&self, key: ObjectKey) -> kube::Result<Next> {
        self.services.synced().await;
        self.nodes.synced().await;
        self.slices.synced().await;
        let Some(service) = self.services.find(&key) else { return Ok(Next::Done) };
        let slices = self.slices.in_namespace(&key.namespace);
        match verdict(&service, &self.services.all(), &self.nodes.all(), &slices) {
            Verdict::NotOurs => {}
            Verdict::At(ips) => self.tell(&service, ips).await?,
            Verdict::Taken { port, protocol, by } => {
                let why = format!(
                    "port {port}/{protocol} of the nodes is that of Service {}/{}; choose another port, or free it there",
                    by.namespace, by.name
                );
                self.recorder.event(&*service, EventType::Warning, "SyncLoadBalancerFailed", why);
                self.tell(&service, Vec::new()).await?;
            }
        }
        Ok(Next::Done)
    }
}

impl Balancers {
    /// Writes down who balances the Service, where that is not what stands there.
    async fn tell(&self, service: &Service, ips: Vec<IpAddr>) -> kube::Result<()> {
        if ingress(service) == ips {
            return Ok(());
        }
        let all: Vec<_> = ips.iter().map(|ip| json!({ "ip": ip, "ipMode": "VIP" })).collect();
        let patch = json!({
            "metadata": { "uid": service.uid(), "resourceVersion": service.resource_version() },
            "status": { "loadBalancer": { "ingress": all } },
        });
        let api: Api<Service> = Api::namespaced(self.client.clone(), &service.namespace().unwrap_or_default());
        match api.patch_status(&service.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(written) => self.services.observe(written),
            Err(error) if write::is_gone(&error) => return Ok(()),
            // A change of it wakes us again, and so does a conflict.
            Err(error) => return Err(error),
        }
        if !ips.is_empty() {
            let all = ips.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ");
            let told = format!("Ensured load balancer: the nodes at {all} take its flows");
            self.recorder.event(service, EventType::Normal, "EnsuredLoadBalancer", told);
        }
        Ok(())
    }
}
