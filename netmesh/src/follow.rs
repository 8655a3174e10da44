//! Turns what a watch says about one kind of object into changes of the table.

use std::collections::HashSet;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Resource;
use kube::runtime::watcher::Event;

use crate::objects;
use crate::table::{Change, ObjectName};

/// A kind of object that the table is made from.
pub(crate) trait Watched: Resource {
    fn present(&self) -> Change;
    fn gone(name: ObjectName) -> Change;
}

impl Watched for Service {
    fn present(&self) -> Change {
        Change::Service(objects::service(self))
    }

    fn gone(name: ObjectName) -> Change {
        Change::ServiceGone(name)
    }
}

impl Watched for EndpointSlice {
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

    pub(crate) fn on<K: Watched>(&mut self, event: Event<K>) -> Vec<Change> {
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

    fn forget<K: Watched>(&mut self, name: ObjectName) -> Change {
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
