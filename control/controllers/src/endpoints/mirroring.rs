use std::sync::Arc;

use carob_reconcile::{Informer, Next, ObjectKey, Queue, Reconcile};
use k8s_openapi::api::core::v1::{Endpoints, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{Client, ResourceExt};

use crate::context::Context;
use crate::endpoints::backends::selector;
use crate::endpoints::controller::execute;
use crate::endpoints::mirror;
use crate::endpoints::slices::SERVICE_NAME;

const NAME: &str = "endpointslicemirroring-controller";
const WORKERS: usize = 1;

/// Starts the controller that mirrors what users write.
pub(super) fn start(context: &mut Context<'_>) {
    let controller = Mirroring {
        client: context.client(NAME),
        services: context.informers.of(),
        endpoints: context.informers.of(),
        slices: context.informers.of(),
    };
    let queue = Arc::new(Queue::new());
    let wake = queue.clone();
    controller.services.on_change(move |change| {
        change.latest().into_iter().for_each(|service| wake.add(ObjectKey::of(&service.metadata)));
    });
    let wake = queue.clone();
    controller.endpoints.on_change(move |change| {
        change.latest().into_iter().for_each(|endpoints| wake.add(ObjectKey::of(&endpoints.metadata)));
    });
    let wake = queue.clone();
    controller.slices.on_change(move |change| {
        let slice = change.latest().filter(|slice| mirror::is_ours(slice));
        slice.and_then(|slice| key_of(slice)).into_iter().for_each(|key| wake.add(key));
    });
    context.spawn(Arc::new(controller), queue, WORKERS);
}

/// The Service, and Endpoints, that a slice is of.
fn key_of(slice: &EndpointSlice) -> Option<ObjectKey> {
    Some(ObjectKey::new(slice.namespace()?, slice.labels().get(SERVICE_NAME)?))
}

struct Mirroring {
    client: Client,
    services: Informer<Service>,
    endpoints: Informer<Endpoints>,
    slices: Informer<EndpointSlice>,
}

impl Reconcile for Mirroring {
    type Key = ObjectKey;
    const NAME: &'static str = NAME;

    async fn reconcile(&self, key: ObjectKey) -> kube::Result<Next> {
        self.services.synced().await;
        self.endpoints.synced().await;
        self.slices.synced().await;
        let has_none_of_its_own = |service: &Arc<Service>| selector(service).is_none();
        let service = self.services.find(&key).filter(has_none_of_its_own);
        let endpoints =
            self.endpoints.find(&key).filter(|endpoints| service.is_some() && mirror::is_mirrored(endpoints));
        let mut existing = self.slices.in_namespace(&key.namespace);
        existing.retain(|slice| mirror::is_ours(slice) && key_of(slice).as_ref() == Some(&key));
        for action in mirror::plan(endpoints.as_deref(), &existing) {
            execute(&self.client, &self.slices, &key.namespace, action).await?;
        }
        Ok(Next::Done)
    }
}
