use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt::Debug;

use kube::{Api, Client, Resource};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use crate::feed::follow;
use crate::informer::Informer;
use crate::source::Whole;

/// A kind that can be watched: every type of `k8s-openapi` that has metadata.
pub trait Watched: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug + Send + Sync + 'static {}

impl<K> Watched for K where K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug + Send + Sync + 'static {}

/// One reflector per kind, started when the first reader asks for it. Dropping it ends them all.
pub struct Informers {
    client: Client,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    by_kind: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
    feeds: JoinSet<()>,
}

impl Informers {
    /// Informers that read through this client. Must be used within a tokio runtime.
    pub fn new(client: Client) -> Self {
        Self { client, state: Mutex::default() }
    }

    /// The informer of this kind, over all namespaces.
    pub fn of<K: Watched>(&self) -> Informer<K> {
        let mut state = self.state.lock();
        let known = state.by_kind.get(&TypeId::of::<K>());
        if let Some(informer) = known.and_then(|informer| informer.downcast_ref::<Informer<K>>()) {
            return informer.clone();
        }
        let informer = Informer::<K>::new(K::kind(&()));
        state.by_kind.insert(TypeId::of::<K>(), Box::new(informer.clone()));
        let source = Whole { api: Api::<K>::all(self.client.clone()), fields: None };
        state.feeds.spawn(follow(source, informer.clone()));
        informer
    }
}
