//! The Pods, namespaces and policies of the cluster, and which policies are for which Pod. Pure: changes go in, and each
//! looks again only at the Pods that it is about.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use carob_net::{Direction, Protocol};

use super::rules::Policy;
use super::selector::Labels;
use crate::table::ObjectName;

/// What has become known.
#[derive(Debug)]
pub(crate) enum Change {
    Pod(ObjectName, PodFacts),
    PodGone(ObjectName),
    Namespace(Arc<str>, Labels),
    NamespaceGone(Arc<str>),
    Policy(Policy),
    PolicyGone(ObjectName),
}

/// What policies look at in a Pod.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PodFacts {
    pub(crate) labels: Labels,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) ports: Vec<NamedPort>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NamedPort {
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    pub(crate) number: u16,
}

/// A Pod, with the policies that are for it.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) facts: PodFacts,
    policies: Vec<Arc<Policy>>,
}

impl Pod {
    /// The policies that isolate the Pod in this direction. Without any, everything passes.
    pub(crate) fn isolated_by(&self, direction: Direction) -> impl Iterator<Item = &Policy> {
        self.policies.iter().map(|policy| &**policy).filter(move |policy| policy.rules(direction).is_some())
    }
}

#[derive(Debug, Default)]
pub(crate) struct Namespace {
    /// `None` until the namespace itself is known.
    pub(crate) labels: Option<Labels>,
    pods: HashMap<Arc<str>, Pod>,
    policies: BTreeMap<Arc<str>, Arc<Policy>>,
}

impl Namespace {
    pub(crate) fn pod(&self, name: &str) -> Option<&Pod> {
        self.pods.get(name)
    }

    /// Whether a Pod that is not known yet might be isolated.
    pub(crate) fn may_isolate(&self, direction: Direction) -> bool {
        self.policies.values().any(|policy| policy.rules(direction).is_some())
    }

    fn is_empty(&self) -> bool {
        self.labels.is_none() && self.pods.is_empty() && self.policies.is_empty()
    }

    fn policies_for(&self, labels: &Labels) -> Vec<Arc<Policy>> {
        self.policies.values().filter(|policy| policy.pods.matches(labels)).cloned().collect()
    }
}

/// What is known.
#[derive(Debug, Default)]
pub(crate) struct State {
    namespaces: HashMap<Arc<str>, Namespace>,
    /// Whose an address is.
    addresses: HashMap<IpAddr, ObjectName>,
    /// Whether all that there is has been told once.
    pub(crate) is_complete: bool,
}

impl State {
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Pod(name, facts) => self.put_pod(name, facts),
            Change::PodGone(name) => self.remove_pod(&name),
            Change::Namespace(name, labels) => self.namespaces.entry(name).or_default().labels = Some(labels),
            Change::NamespaceGone(name) => self.within(&name, |namespace| namespace.labels = None),
            Change::Policy(policy) => self.put_policy(policy),
            Change::PolicyGone(name) => self.within(&name.namespace, |namespace| {
                let Some(gone) = namespace.policies.remove(&name.name) else { return };
                namespace.pods.values_mut().for_each(|pod| pod.policies.retain(|policy| !Arc::ptr_eq(policy, &gone)));
            }),
        }
    }

    pub(crate) fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.namespaces.get(name)
    }

    /// The Pod that has an address.
    pub(crate) fn at(&self, ip: IpAddr) -> Option<&ObjectName> {
        self.addresses.get(&ip)
    }

    fn put_pod(&mut self, name: ObjectName, facts: PodFacts) {
        let namespace = self.namespaces.entry(name.namespace.clone()).or_default();
        match namespace.pods.get(&name.name) {
            // Most changes of a Pod are none to policies.
            Some(old) if old.facts == facts => return,
            Some(old) => forget(&mut self.addresses, &old.facts.addresses, &name),
            None => {}
        }
        self.addresses.extend(facts.addresses.iter().map(|ip| (*ip, name.clone())));
        let policies = namespace.policies_for(&facts.labels);
        namespace.pods.insert(name.name, Pod { facts, policies });
    }

    fn remove_pod(&mut self, name: &ObjectName) {
        let gone = self.namespaces.get_mut(&name.namespace).and_then(|namespace| namespace.pods.remove(&name.name));
        if let Some(gone) = gone {
            forget(&mut self.addresses, &gone.facts.addresses, name);
        }
        self.within(&name.namespace, |_| {});
    }

    fn put_policy(&mut self, policy: Policy) {
        let namespace = self.namespaces.entry(policy.name.namespace.clone()).or_default();
        let policy = Arc::new(policy);
        let old = namespace.policies.insert(policy.name.name.clone(), policy.clone());
        if old.as_deref() == Some(&*policy) {
            // What Pods hold is as good.
            namespace.policies.extend(old.map(|old| (old.name.name.clone(), old)));
            return;
        }
        for pod in namespace.pods.values_mut() {
            pod.policies.retain(|held| !old.as_ref().is_some_and(|old| Arc::ptr_eq(held, old)));
            if policy.pods.matches(&pod.facts.labels) {
                pod.policies.push(policy.clone());
            }
        }
    }

    /// Changes a namespace, and forgets it when nothing is left of it.
    fn within(&mut self, name: &str, change: impl FnOnce(&mut Namespace)) {
        let Some(namespace) = self.namespaces.get_mut(name) else { return };
        change(namespace);
        if namespace.is_empty() {
            self.namespaces.remove(name);
        }
    }
}

/// An address may have become another Pod's already.
fn forget(addresses: &mut HashMap<IpAddr, ObjectName>, gone: &[IpAddr], name: &ObjectName) {
    for ip in gone {
        if addresses.get(ip) == Some(name) {
            addresses.remove(ip);
        }
    }
}
