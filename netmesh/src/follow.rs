//! Turns what a watch says about one kind of object into changes of what is kept of it.

use std::collections::HashSet;

use futures::{Stream, StreamExt};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use crate::objects;
use crate::table::{Change, ObjectName};

/// A kind of object that is followed.
pub(crate) trait Watched: Resource {
    /// What its coming and going changes.
    type Change;

    fn present(&self) -> Self::Change;
    fn gone(name: ObjectName) -> Self::Change;
}

/// Every object of a kind, for ever: a watch that breaks is begun again, with back-off.
pub(crate) fn watch<K>(client: &Client) -> impl Stream<Item = Event<K>> + use<K>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    watch_some(client, watcher::Config::default())
}

/// The same, of those objects that are asked for.
pub(crate) fn watch_some<K>(client: &Client, which: watcher::Config) -> impl Stream<Item = Event<K>> + use<K>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    let watch = watcher(Api::<K>::all(client.clone()), which).default_backoff();
    watch.filter_map(async |event| {
        event
            .inspect_err(|error| tracing::warn!(%error, kind = %K::kind(&()), "a watch broke; beginning it again"))
            .ok()
    })
}

impl Watched for EndpointSlice {
    type Change = Change;

    fn present(&self) -> Change {
        Change::Slice(objects::slice(self))
    }

    fn gone(name: ObjectName) -> Change {
        Change::SliceGone(name)
    }
}

/// Remembers which objects there are: a watch that starts again lists what is there, and says nothing of what has gone in
/// the meantime.
#[derive(Default)]
pub(crate) struct Follow {
    known: HashSet<ObjectName>,
    unconfirmed: HashSet<ObjectName>,
    listed: bool,
}

impl Follow {
    /// Whether everything has been listed at least once.
    pub(crate) fn is_listed(&self) -> bool {
        self.listed
    }

    pub(crate) fn on<K: Watched<DynamicType = ()>>(&mut self, event: Event<K>) -> Vec<K::Change> {
        self.read(event, K::present, K::gone)
    }

    /// The same, for whoever looks at objects in a way of its own.
    pub(crate) fn read<K, C>(
        &mut self,
        event: Event<K>,
        present: impl Fn(&K) -> C,
        gone: impl Fn(ObjectName) -> C,
    ) -> Vec<C>
    where
        K: Resource<DynamicType = ()>,
    {
        match event {
            Event::Init => {
                self.unconfirmed = self.known.clone();
                Vec::new()
            }
            Event::Apply(object) | Event::InitApply(object) => {
                let name = objects::name(object.meta());
                self.unconfirmed.remove(&name);
                self.known.insert(name);
                vec![present(&object)]
            }
            Event::Delete(object) => {
                let name = objects::name(object.meta());
                self.known.remove(&name);
                vec![gone(name)]
            }
            Event::InitDone => {
                self.listed = true;
                let unconfirmed = std::mem::take(&mut self.unconfirmed);
                self.known.retain(|name| !unconfirmed.contains(name));
                unconfirmed.into_iter().map(gone).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Service;
    use kube::core::ObjectMeta;

    use super::*;

    fn service(name: &str) -> Service {
        let metadata =
            ObjectMeta { name: Some(name.into()), namespace: Some("default".into()), ..ObjectMeta::default() };
        Service { metadata, ..Service::default() }
    }

    fn told(follow: &mut Follow, event: Event<Service>) -> Vec<String> {
        let present = |service: &Service| format!("+{}", objects::name(&service.metadata).name);
        follow.read(event, present, |name| format!("-{}", name.name))
    }

    #[test]
    fn what_a_second_list_does_not_name_is_gone() {
        let mut follow = Follow::default();
        assert!(told(&mut follow, Event::Init).is_empty());
        assert_eq!(told(&mut follow, Event::InitApply(service("a"))), ["+a"]);
        assert_eq!(told(&mut follow, Event::InitApply(service("b"))), ["+b"]);
        assert!(!follow.is_listed());
        assert!(told(&mut follow, Event::InitDone).is_empty());
        assert!(follow.is_listed());
        assert_eq!(told(&mut follow, Event::Apply(service("c"))), ["+c"]);
        assert_eq!(told(&mut follow, Event::Delete(service("a"))), ["-a"]);

        assert!(told(&mut follow, Event::Init).is_empty());
        assert_eq!(told(&mut follow, Event::InitApply(service("b"))), ["+b"]);
        assert_eq!(told(&mut follow, Event::InitDone), ["-c"]);
    }

    #[test]
    fn a_list_that_is_cut_off_removes_nothing() {
        let mut follow = Follow::default();
        told(&mut follow, Event::Init);
        told(&mut follow, Event::InitApply(service("a")));
        told(&mut follow, Event::InitDone);

        told(&mut follow, Event::Init);
        told(&mut follow, Event::Init);
        assert_eq!(told(&mut follow, Event::InitApply(service("a"))), ["+a"]);
        assert!(told(&mut follow, Event::InitDone).is_empty());
    }
}
