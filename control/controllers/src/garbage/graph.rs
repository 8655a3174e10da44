use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::discovery::Kind;

pub(crate) const FOREGROUND: &str = "foregroundDeletion";
pub(crate) const ORPHAN: &str = "orphan";

/// An object as the garbage collector sees it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Arc<Kind>,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) resource_version: Option<String>,
    pub(crate) owners: Vec<OwnerReference>,
    pub(crate) finalizers: Vec<String>,
    pub(crate) is_deleting: bool,
}

impl Node {
    pub(crate) fn of(kind: &Arc<Kind>, meta: &ObjectMeta) -> Self {
        Self {
            kind: kind.clone(),
            namespace: meta.namespace.clone(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            resource_version: meta.resource_version.clone(),
            owners: meta.owner_references.clone().unwrap_or_default(),
            finalizers: meta.finalizers.clone().unwrap_or_default(),
            is_deleting: meta.deletion_timestamp.is_some(),
        }
    }

    pub(crate) fn has_finalizer(&self, finalizer: &str) -> bool {
        self.finalizers.iter().any(|present| present == finalizer)
    }

    /// It goes after its dependents.
    pub(crate) fn waits_for_dependents(&self) -> bool {
        self.is_deleting && self.has_finalizer(FOREGROUND)
    }

    /// It goes after its dependents were set free.
    pub(crate) fn orphans_dependents(&self) -> bool {
        self.is_deleting && self.has_finalizer(ORPHAN)
    }

    /// Whether the reference means this object, and not only one of the same uid.
    pub(crate) fn is_meant_by(&self, reference: &OwnerReference, dependent: &Node) -> bool {
        let same_place = self.namespace.is_none() || self.namespace == dependent.namespace;
        reference.kind == self.kind.resource.kind && reference.name == self.name && same_place
    }

    /// Whether it holds up the owner's foreground deletion.
    pub(crate) fn blocks(&self, owner: &str) -> bool {
        self.owners.iter().any(|reference| reference.uid == owner && reference.block_owner_deletion == Some(true))
    }
}

/// Who owns whom.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    nodes: HashMap<String, Node>,
    dependents: HashMap<String, BTreeSet<String>>,
}

impl Graph {
    pub(crate) fn node(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(uid)
    }

    pub(crate) fn dependents(&self, uid: &str) -> impl Iterator<Item = &Node> {
        self.dependents.get(uid).into_iter().flatten().filter_map(|uid| self.nodes.get(uid))
    }

    /// The object is now this. Returns the uids of all to look at.
    pub(crate) fn upsert(&mut self, node: Node) -> Vec<String> {
        let uid = node.uid.clone();
        let mut wake = Vec::new();
        let old = self.unlink(&uid);
        for owner in &node.owners {
            self.dependents.entry(owner.uid.clone()).or_default().insert(uid.clone());
        }
        let state = |node: &Node| (node.is_deleting, node.finalizers.clone(), node.owners.clone());
        if old.as_ref().map(state) != Some(state(&node)) {
            wake.push(uid.clone());
            wake.extend(self.waiting_owners(&node));
            wake.extend(old.iter().flat_map(|old| self.waiting_owners(old)));
        }
        let begins = node.waits_for_dependents() && !old.is_some_and(|old| old.waits_for_dependents());
        self.nodes.insert(uid.clone(), node);
        if begins {
            wake.extend(self.dependents(&uid).map(|dependent| dependent.uid.clone()));
        }
        wake
    }

    /// The object is gone. Returns the uids of all to look at.
    pub(crate) fn remove(&mut self, uid: &str) -> Vec<String> {
        let Some(old) = self.unlink(uid) else { return Vec::new() };
        let mut wake: Vec<_> = self.dependents(uid).map(|dependent| dependent.uid.clone()).collect();
        wake.extend(self.waiting_owners(&old));
        wake
    }

    fn unlink(&mut self, uid: &str) -> Option<Node> {
        let old = self.nodes.remove(uid)?;
        for owner in &old.owners {
            if let Some(dependents) = self.dependents.get_mut(&owner.uid) {
                dependents.remove(uid);
                if dependents.is_empty() {
                    self.dependents.remove(&owner.uid);
                }
            }
        }
        Some(old)
    }

    /// Owners whose deletion waits for this object.
    fn waiting_owners(&self, node: &Node) -> Vec<String> {
        let owners = node.owners.iter().filter_map(|owner| self.nodes.get(&owner.uid));
        owners.filter(|owner| owner.waits_for_dependents()).map(|owner| owner.uid.clone()).collect()
    }
}
