//! Turns what a watch says about one kind of object into changes of what is kept of it.

use std::collections::HashSet;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Service;
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
    K: Watched<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    let watch = watcher(Api::<K>::all(client.clone()), watcher::Config::default()).default_backoff();
    watch.filter_map(async |event| {
        event
            .inspect_err(|error| tracing::warn!(%error, kind = %K::kind(&()), "a watch broke; beginning it again"))
            .ok()
    })
}

impl Watched for Service {
    type Change = Change;

    fn present(&self) -> Change {
        Change::Service(objects::service(self))
    }

    fn gone(name: ObjectName) -> Change {
        Change::ServiceGone(name)
    }
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

    pub(crate) fn on<K: Watched>(&mut self, event: Event<K>) -> Vec<K::Change> {
        match event {
            Event::Init => {
                self.unconfirmed = self.known.clone();
                Vec::new()
            }
            Event::Apply(object) | Event::InitApply(object) => {
                let name = objects::name(object.meta());
                self.unconfirmed.remove(&name);
                self.known.insert(name);
                vec![object.present()]
            }
            Event::Delete(object) => vec![self.forget::<K>(objects::name(object.meta()))],
            Event::InitDone => {
                self.listed = true;
                let gone = std::mem::take(&mut self.unconfirmed);
                gone.into_iter().map(|name| self.forget::<K>(name)).collect()
            }
        }
    }

    fn forget<K: Watched>(&mut self, name: ObjectName) -> K::Change {
        self.known.remove(&name);
        K::gone(name)
    }
}

#[cfg(test)]
mod tests {
    use kube::core::ObjectMeta;

    use super::*;

    fn service(name: &str) -> Service {
        let metadata =
            ObjectMeta { name: Some(name.into()), namespace: Some("default".into()), ..ObjectMeta::default() };
        Service { metadata, ..Service::default() }
    }

    fn told(follow: &mut Follow, event: Event<Service>) -> Vec<String> {
        let told = |change| match change {
            Change::Service(service) => format!("+{}", service.name.name),
            Change::ServiceGone(name) => format!("-{}", name.name),
            Change::Slice(_) | Change::SliceGone(_) => unreachable!("only Services are followed here"),
        };
        follow.on(event).into_iter().map(told).collect()
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
