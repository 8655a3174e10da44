//! What can be done with objects. Each verb is written once, for all resources.

mod body;
mod create;
mod delete;
mod delete_collection;
mod deletion;
mod get;
mod initial;
mod list;
mod list_options;
mod modify;
mod options;
mod page;
mod patch;
mod respond;
mod reviews;
mod scale;
mod token;
mod update;
mod watch;
mod watch_alarms;
mod watch_format;
mod write;

pub(crate) mod binding;
pub(crate) mod eviction;

use axum::{body::Body, response::Response};
use carob_resources::Subresource;
use http::{HeaderMap, Method, Uri};
use hyper::upgrade::OnUpgrade;
use std::sync::Arc;

use crate::{
    ApiServer, Identity, kubelet, proxy,
    registry::Served,
    request::{Address, Form, Query},
    status::Status,
};
pub(crate) use initial::seconds;
pub(crate) use modify::Part;

/// One request about objects, parsed and authorized.
pub(crate) struct Call {
    pub(crate) api: ApiServer,
    pub(crate) served: Arc<Served>,
    pub(crate) address: Address,
    pub(crate) verb: &'static str,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) form: Form,
    pub(crate) identity: Identity,
}

/// Answers a request about objects; `upgrade` is the client's connection, if it may become something else.
pub(crate) async fn answer(call: Call, body: Body, upgrade: Option<OnUpgrade>) -> Result<Response, Status> {
    if call.address.subresource.is_empty() {
        return main(call, body).await;
    }
    let subresource = call.served.subresource(&call.address.subresource).ok_or_else(Status::no_such_path)?;
    match (subresource, call.verb) {
        (Subresource::Status, "get") => get::get(&call).await,
        (Subresource::Status, "update") => update::update(&call, Part::Status, body).await,
        (Subresource::Status, "patch") => patch::patch(&call, Part::Status, body).await,
        (Subresource::EphemeralContainers | Subresource::Resize | Subresource::Approval, "get") => {
            get::get(&call).await
        }
        (Subresource::EphemeralContainers | Subresource::Resize | Subresource::Approval, "update") => {
            update::update(&call, Part::Of(*subresource), body).await
        }
        (Subresource::EphemeralContainers | Subresource::Resize | Subresource::Approval, "patch") => {
            patch::patch(&call, Part::Of(*subresource), body).await
        }
        (Subresource::Finalize, "update") => update::update(&call, Part::Finalizers, body).await,
        (Subresource::Scale { .. }, "get" | "update" | "patch") => scale::answer(&call, subresource, body).await,
        (Subresource::Binding, "create") => binding::create(&call, body).await,
        (Subresource::Eviction, "create") => eviction::create(&call, body).await,
        (Subresource::Log, "get") => kubelet::log(&call).await,
        (Subresource::Proxy, _) => proxy::answer(&call, body, upgrade).await,
        (Subresource::Exec | Subresource::Attach | Subresource::PortForward, "get" | "create") => {
            kubelet::connect(&call, subresource, upgrade).await
        }
        (Subresource::Token, "create") => token::create(&call, body).await,
        _ => Err(Status::method_not_allowed()),
    }
}

async fn main(call: Call, body: Body) -> Result<Response, Status> {
    if let Some(review) = call.served.resource.strategy.review() {
        let asked = call.verb == "create" && call.address.name.is_empty();
        return if asked { reviews::answer(&call, review, body).await } else { Err(Status::method_not_allowed()) };
    }
    match call.verb {
        "get" => get::get(&call).await,
        "list" => list::list(&call).await,
        "watch" => watch::watch(call).await,
        "create" if call.address.name.is_empty() => create::create(&call, body).await,
        "update" if !call.address.name.is_empty() => update::update(&call, Part::Main, body).await,
        "patch" if !call.address.name.is_empty() => patch::patch(&call, Part::Main, body).await,
        "delete" => delete::delete(&call, body).await,
        "deletecollection" => delete_collection::delete_collection(&call, body).await,
        _ => Err(Status::method_not_allowed()),
    }
}

impl Call {
    /// The object as it is now; 404 if it is not there.
    pub(crate) fn existing(&self) -> Result<Arc<crate::cache::Entry>, Status> {
        self.named(&self.address.name)
    }

    /// As [`Call::existing`], for an object that the address names in other words.
    pub(crate) fn named(&self, name: &str) -> Result<Arc<crate::cache::Entry>, Status> {
        let missing = || Status::not_found(self.served.resource, name);
        self.served.cache.get(&self.served.key(&self.address.namespace, name)).ok_or_else(missing)
    }

    /// The same request, for an object of another resource or name.
    pub(crate) fn about(&self, served: Arc<Served>, namespace: &str, name: &str, verb: &'static str) -> Self {
        let resource = served.resource;
        let address = Address {
            group: resource.group.to_owned(),
            version: resource.version.to_owned(),
            resource: resource.plural.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: String::new(),
            rest: String::new(),
        };
        let (api, query, headers) = (self.api.clone(), self.query.clone(), self.headers.clone());
        let (method, uri) = (self.method.clone(), self.uri.clone());
        Self {
            api,
            served,
            address,
            verb,
            method,
            uri,
            query,
            headers,
            form: self.form,
            identity: self.identity.clone(),
        }
    }
}
