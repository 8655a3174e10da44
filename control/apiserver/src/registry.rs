//! What is served, found by its address.

use std::{collections::HashMap, sync::Arc};

use carob_resources::{Resource, Scope, Subresource};
use carob_schema::{Schemas, TypeRef};

use crate::{
    cache::{Applied, Cache},
    request::Address,
    status::Status,
};

/// A resource with what the server holds for it.
pub(crate) struct Served {
    pub(crate) resource: &'static Resource,
    pub(crate) cache: Arc<Cache>,
    /// Its type in the schema tables.
    pub(crate) ty: TypeRef,
}

/// All served resources.
pub(crate) struct Registry {
    all: Vec<Arc<Served>>,
    by_address: HashMap<(&'static str, &'static str, &'static str), Arc<Served>>,
    by_storage: HashMap<&'static str, Vec<Arc<Served>>>,
}

impl Registry {
    /// A resource whose kind is in no schema table is left out, which is logged: it could not be checked.
    pub(crate) fn new(resources: &'static [Resource], applied: &Applied) -> Self {
        let mut registry = Self { all: Vec::new(), by_address: HashMap::new(), by_storage: HashMap::new() };
        for resource in resources {
            let Some(ty) = Schemas::builtin().of(resource.group, resource.version, resource.kind) else {
                tracing::error!(kind = resource.kind, group = resource.group, "no schema; not served");
                continue;
            };
            let cache = Arc::new(Cache::new(resource, applied.clone()));
            registry.add(Arc::new(Served { resource, cache, ty }));
        }
        registry
    }

    fn add(&mut self, served: Arc<Served>) {
        let resource = served.resource;
        self.by_address.insert((resource.group, resource.version, resource.plural), served.clone());
        if resource.strategy.review().is_none() {
            self.by_storage.entry(resource.storage).or_default().push(served.clone());
        }
        self.all.push(served);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Served> {
        self.all.iter().map(|served| &**served)
    }

    pub(crate) fn stored_as(&self, storage: &str) -> &[Arc<Served>] {
        self.by_storage.get(storage).map_or(&[], Vec::as_slice)
    }

    /// A resource of the core group.
    pub(crate) fn core(&self, plural: &str) -> Option<&Arc<Served>> {
        self.of("", plural)
    }

    /// A resource of a group.
    pub(crate) fn of(&self, group: &str, plural: &str) -> Option<&Arc<Served>> {
        self.all.iter().find(|served| (served.resource.group, served.resource.plural) == (group, plural))
    }

    /// What an address names; 404 where nothing is served.
    pub(crate) fn find(&self, address: &Address) -> Result<Arc<Served>, Status> {
        let key = (address.group.as_str(), address.version.as_str(), address.resource.as_str());
        let served = self.by_address.get(&key).ok_or_else(Status::no_such_path)?;
        let outside = served.resource.scope == Scope::Cluster && !address.namespace.is_empty();
        // A namespace is itself addressed by /namespaces/NAME.
        if outside && served.resource.kind != "Namespace" {
            return Err(Status::no_such_path());
        }
        let homeless = served.resource.scope == Scope::Namespaced && address.namespace.is_empty();
        if homeless && !address.name.is_empty() {
            return Err(Status::no_such_path());
        }
        Ok(served.clone())
    }
}

/// The name of a subresource in URLs.
pub(crate) fn subresource_name(subresource: &Subresource) -> &'static str {
    match subresource {
        Subresource::Status => "status",
        Subresource::Scale { .. } => "scale",
        Subresource::Finalize => "finalize",
        Subresource::Binding => "binding",
        Subresource::Eviction => "eviction",
        Subresource::EphemeralContainers => "ephemeralcontainers",
        Subresource::Log => "log",
        Subresource::Proxy => "proxy",
        Subresource::Exec => "exec",
        Subresource::Attach => "attach",
        Subresource::PortForward => "portforward",
        Subresource::Token => "token",
        Subresource::Resize => "resize",
        Subresource::Approval => "approval",
    }
}

impl Served {
    /// The declared subresource of this name.
    pub(crate) fn subresource(&self, name: &str) -> Option<&'static Subresource> {
        self.resource.subresources.iter().find(|subresource| subresource_name(subresource) == name)
    }

    /// The end of an object's key in the store, and its key in the cache.
    pub(crate) fn key(&self, namespace: &str, name: &str) -> String {
        match self.resource.scope {
            Scope::Cluster => name.to_owned(),
            Scope::Namespaced => format!("{namespace}/{name}"),
        }
    }

    /// An object's key in the store.
    pub(crate) fn store_key(&self, namespace: &str, name: &str) -> String {
        self.store_key_of(&self.key(namespace, name))
    }

    /// The key in the store of what has `key` in the cache.
    pub(crate) fn store_key_of(&self, key: &str) -> String {
        format!("/registry/{}/{key}", self.resource.storage)
    }
}
