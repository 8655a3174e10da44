use std::sync::Arc;
use std::time::Duration;

use carob_reconcile::{Change, Informer, Next, ObjectKey, Queue, Reconcile};
use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};

use crate::context::Context;
use crate::endpoints::backends::{Backend, backends, selector, selects};
use crate::endpoints::{legacy, mirroring, slices};
use crate::write;

const WORKERS: usize = 4;
/// Changes of Pods are gathered for so long before the Service is looked at: a rollout is many changes at once.
const GATHER: Duration = Duration::from_millis(10);

/// Starts the two controllers.
pub(crate) fn start(context: &mut Context<'_>) {
    let source = Source { services: context.informers.of(), pods: context.informers.of() };
    let slices = Slices {
        client: context.client("endpointslice-controller"),
        source: source.clone(),
        slices: context.informers.of(),
    };
    let queue = source.queue();
    let wake = queue.clone();
    slices.slices.on_change(move |change| {
        let slice = change.latest().filter(|slice| slices::is_ours(slice));
        let service = slice.and_then(|slice| Some((slice.namespace()?, slice.labels().get(slices::SERVICE_NAME)?)));
        service.into_iter().for_each(|(namespace, name)| wake.add(ObjectKey::new(namespace, name)));
    });
    context.spawn(Arc::new(slices), queue, WORKERS);

    let legacy = Legacy {
        client: context.client("endpoint-controller"),
        endpoints: context.informers.of(),
        source: source.clone(),
    };
    let queue = source.queue();
    let wake = queue.clone();
    legacy.endpoints.on_change(move |change| {
        change.latest().into_iter().for_each(|endpoints| wake.add(ObjectKey::of(&endpoints.metadata)));
    });
    context.spawn(Arc::new(legacy), queue, WORKERS);
    mirroring::start(context);
}

/// Services and the Pods behind them.
#[derive(Clone)]
struct Source {
    services: Informer<Service>,
    pods: Informer<Pod>,
}

impl Source {
    /// A queue that is woken by Services and by their Pods.
    fn queue(&self) -> Arc<Queue<ObjectKey>> {
        let queue = Arc::new(Queue::new());
        let wake = queue.clone();
        self.services.on_change(move |change| {
            change.latest().into_iter().for_each(|service| wake.add(ObjectKey::of(&service.metadata)));
        });
        let (wake, services) = (queue.clone(), self.services.clone());
        self.pods.on_change(move |change| {
            if is_news(change) {
                wake_services(change, &services, &wake);
            }
        });
        queue
    }

    async fn synced(&self) {
        self.services.synced().await;
        self.pods.synced().await;
    }

    fn backends(&self, service: &Service) -> Vec<Backend> {
        backends(service, &self.pods.in_namespace(&service.namespace().unwrap_or_default()))
    }
}

/// Whether the change is one of those that endpoints show.
fn is_news(change: &Change<Pod>) -> bool {
    let shown = |pod: &Arc<Pod>| {
        let status = pod.status.clone().unwrap_or_default();
        (
            pod.uid(),
            pod.labels().clone(),
            pod.metadata.deletion_timestamp.is_some(),
            crate::pods::is_ready(pod),
            crate::pods::is_over(pod),
            (status.pod_ip, status.pod_ips),
        )
    };
    change.old.as_ref().map(shown) != change.new.as_ref().map(shown)
}

fn wake_services(change: &Change<Pod>, services: &Informer<Service>, queue: &Queue<ObjectKey>) {
    let Some(namespace) = change.latest().and_then(|pod| pod.namespace()) else { return };
    for service in services.in_namespace(&namespace) {
        if change.sides().any(|pod| selects(&service, pod.labels())) {
            queue.add_after(ObjectKey::of(&service.metadata), GATHER);
        }
    }
}

struct Slices {
    client: Client,
    source: Source,
    slices: Informer<EndpointSlice>,
}

impl Reconcile for Slices {
    type Key = ObjectKey;
    const NAME: &'static str = "endpointslice-controller";

    async fn reconcile(&self, key: ObjectKey) -> kube::Result<Next> {
        self.source.synced().await;
        self.slices.synced().await;
        // The slices of a Service that is gone are the garbage collector's.
        let service = self.source.services.find(&key).filter(|service| selector(service).is_some());
        let Some(service) = service.filter(|service| service.metadata.deletion_timestamp.is_none()) else {
            return Ok(Next::Done);
        };
        let mut existing = self.slices.owned_by(&service.uid().unwrap_or_default());
        existing.retain(|slice| slices::is_ours(slice) && slice.metadata.deletion_timestamp.is_none());
        for action in slices::plan(&service, &self.source.backends(&service), &existing) {
            execute(&self.client, &self.slices, &key.namespace, action).await?;
        }
        Ok(Next::Done)
    }
}

/// Writes a slice.
pub(super) async fn execute(
    client: &Client,
    slices: &Informer<EndpointSlice>,
    namespace: &str,
    action: slices::Action,
) -> kube::Result<()> {
    let api: Api<EndpointSlice> = Api::namespaced(client.clone(), namespace);
    match action {
        slices::Action::Create(slice) => match api.create(&PostParams::default(), &slice).await {
            Ok(created) => slices.observe(created),
            Err(error) if write::is_terminating_namespace(&error) => {}
            Err(error) => return Err(error),
        },
        slices::Action::Update(slice) => {
            let updated = api.replace(&slice.name_any(), &PostParams::default(), &slice).await?;
            slices.observe(updated);
        }
        slices::Action::Delete(slice) => write::delete(&api, slices, &slice).await?,
    }
    Ok(())
}

struct Legacy {
    client: Client,
    source: Source,
    endpoints: Informer<Endpoints>,
}

impl Reconcile for Legacy {
    type Key = ObjectKey;
    const NAME: &'static str = "endpoint-controller";

    async fn reconcile(&self, key: ObjectKey) -> kube::Result<Next> {
        self.source.synced().await;
        self.endpoints.synced().await;
        let present = self.endpoints.find(&key);
        let api: Api<Endpoints> = Api::namespaced(self.client.clone(), &key.namespace);
        match (self.source.services.find(&key), present) {
            (Some(service), present) if selector(&service).is_some() => {
                let wanted = legacy::wanted(&service, &self.source.backends(&service));
                self.write(&api, present, wanted).await?;
            }
            (None, Some(present)) if legacy::is_ours(&present) => {
                write::delete(&api, &self.endpoints, &present).await?;
            }
            _ => {}
        }
        Ok(Next::Done)
    }
}

impl Legacy {
    async fn write(
        &self,
        api: &Api<Endpoints>,
        present: Option<Arc<Endpoints>>,
        wanted: Endpoints,
    ) -> kube::Result<()> {
        let result = match present {
            Some(present) if legacy::is_same(&present, &wanted) => return Ok(()),
            Some(present) => {
                let updated = legacy::updated(&present, wanted);
                api.replace(&updated.name_any(), &PostParams::default(), &updated).await
            }
            None => api.create(&PostParams::default(), &wanted).await,
        };
        match result {
            Ok(written) => self.endpoints.observe(written),
            Err(error) if write::is_terminating_namespace(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
