//! What a reflector remembers, as a pure state machine: list and watch answers go in, changes come out.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;

use crate::key::{ObjectKey, controller_of, revision_of};

/// One object before and after. At least one side is present.
#[derive(Debug)]
pub struct Change<K> {
    /// What was known before; `None` when the object is new.
    pub old: Option<Arc<K>>,
    /// What is known now; `None` when the object is gone.
    pub new: Option<Arc<K>>,
}

impl<K> Change<K> {
    /// Both sides that are present, old first.
    pub fn sides(&self) -> impl Iterator<Item = &Arc<K>> {
        self.old.iter().chain(self.new.iter())
    }

    /// The newest side.
    pub fn latest(&self) -> Option<&Arc<K>> {
        self.new.as_ref().or(self.old.as_ref())
    }
}

/// Who controls an object: an owner's uid, or nobody (in this namespace).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Owner {
    Uid(String),
    Nobody(String),
}

/// The objects of one kind, with indexes.
///
/// Invariant: every event up to revision `seen` has been applied. So the answer to one's own write belongs in here
/// exactly when its revision is above `seen`: the watch has not told it yet, and will.
pub(crate) struct Store<K> {
    objects: BTreeMap<ObjectKey, Arc<K>>,
    by_owner: HashMap<Owner, BTreeSet<ObjectKey>>,
    seen: u64,
    /// Uids whose deletion was acknowledged to us and not yet told by the watch.
    deleted: HashSet<String>,
}

impl<K: Resource> Store<K> {
    pub(crate) fn new() -> Self {
        Self { objects: BTreeMap::new(), by_owner: HashMap::new(), seen: 0, deleted: HashSet::new() }
    }

    pub(crate) fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.objects.get(key).cloned()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<K>> {
        self.objects.values()
    }

    pub(crate) fn in_namespace<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Arc<K>> {
        self.objects
            .range(ObjectKey::new(namespace, "")..)
            .take_while(move |(key, _)| key.namespace == namespace)
            .map(|(_, object)| object)
    }

    pub(crate) fn owned_by(&self, uid: &str) -> Vec<Arc<K>> {
        self.indexed(&Owner::Uid(uid.to_owned()))
    }

    pub(crate) fn without_controller(&self, namespace: &str) -> Vec<Arc<K>> {
        self.indexed(&Owner::Nobody(namespace.to_owned()))
    }

    /// The watch says the object was added or modified.
    pub(crate) fn apply(&mut self, object: K) -> Option<Change<K>> {
        self.seen = self.seen.max(revision_of(object.meta()));
        if self.is_known_deleted(object.meta()) || self.is_behind(object.meta()) {
            return None;
        }
        Some(self.put(object))
    }

    /// The watch says the object was deleted.
    pub(crate) fn delete(&mut self, object: &K) -> Option<Change<K>> {
        self.seen = self.seen.max(revision_of(object.meta()));
        self.deleted.remove(object.meta().uid.as_deref().unwrap_or_default());
        self.remove(&ObjectKey::of(object.meta()), object.meta().uid.as_deref())
    }

    /// The watch says that nothing is missing up to this revision.
    pub(crate) fn bookmark(&mut self, revision: u64) {
        self.seen = self.seen.max(revision);
    }

    /// A fresh list, taken at `revision`, replaces everything that is not newer than it.
    pub(crate) fn replace(&mut self, items: Vec<K>, revision: u64) -> Vec<Change<K>> {
        let listed: HashSet<ObjectKey> = items.iter().map(|item| ObjectKey::of(item.meta())).collect();
        let uids: HashSet<&str> = items.iter().filter_map(|item| item.meta().uid.as_deref()).collect();
        self.deleted.retain(|uid| uids.contains(uid.as_str()));
        let gone: Vec<ObjectKey> = self
            .objects
            .iter()
            .filter(|(key, object)| !listed.contains(*key) && revision_of(object.meta()) <= revision)
            .map(|(key, _)| key.clone())
            .collect();
        let mut changes: Vec<_> = gone.iter().filter_map(|key| self.remove(key, None)).collect();
        for item in items {
            if !self.is_known_deleted(item.meta()) && !self.is_current(item.meta()) {
                changes.push(self.put(item));
            }
        }
        self.seen = revision;
        changes
    }

    /// The server acknowledged our own write with this object.
    pub(crate) fn observe(&mut self, object: K) -> Option<Change<K>> {
        let told = revision_of(object.meta()) <= self.seen;
        if told || self.is_known_deleted(object.meta()) || self.is_current(object.meta()) {
            return None;
        }
        Some(self.put(object))
    }

    /// The server acknowledged that the object with this uid is gone.
    pub(crate) fn forget(&mut self, key: &ObjectKey, uid: &str) -> Option<Change<K>> {
        let change = self.remove(key, Some(uid))?;
        self.deleted.insert(uid.to_owned());
        Some(change)
    }

    fn is_known_deleted(&self, meta: &ObjectMeta) -> bool {
        !self.deleted.is_empty() && meta.uid.as_ref().is_some_and(|uid| self.deleted.contains(uid))
    }

    /// Whether something newer than `meta` is here, which only `observe` can have put ahead of the watch.
    fn is_behind(&self, meta: &ObjectMeta) -> bool {
        self.revision_at(meta).is_some_and(|known| known > revision_of(meta))
    }

    fn is_current(&self, meta: &ObjectMeta) -> bool {
        self.revision_at(meta).is_some_and(|known| known >= revision_of(meta))
    }

    fn revision_at(&self, meta: &ObjectMeta) -> Option<u64> {
        self.objects.get(&ObjectKey::of(meta)).map(|known| revision_of(known.meta()))
    }

    fn put(&mut self, mut object: K) -> Change<K> {
        object.meta_mut().managed_fields = None;
        let key = ObjectKey::of(object.meta());
        let new = Arc::new(object);
        let old = self.objects.insert(key.clone(), new.clone());
        if let Some(old) = &old {
            self.unindex(&key, old);
        }
        self.by_owner.entry(owner(new.meta())).or_default().insert(key);
        Change { old, new: Some(new) }
    }

    /// Removes the object, unless another one (another uid) has taken its name.
    fn remove(&mut self, key: &ObjectKey, uid: Option<&str>) -> Option<Change<K>> {
        let known = self.objects.get(key)?;
        if uid.is_some() && known.meta().uid.as_deref() != uid {
            return None;
        }
        let old = self.objects.remove(key)?;
        self.unindex(key, &old);
        Some(Change { old: Some(old), new: None })
    }

    fn unindex(&mut self, key: &ObjectKey, object: &K) {
        let owner = owner(object.meta());
        if let Some(keys) = self.by_owner.get_mut(&owner) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_owner.remove(&owner);
            }
        }
    }

    fn indexed(&self, owner: &Owner) -> Vec<Arc<K>> {
        let keys = self.by_owner.get(owner);
        keys.into_iter().flatten().filter_map(|key| self.get(key)).collect()
    }
}

fn owner(meta: &ObjectMeta) -> Owner {
    match controller_of(meta) {
        Some(owner) => Owner::Uid(owner.uid.clone()),
        None => Owner::Nobody(meta.namespace.clone().unwrap_or_default()),
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
