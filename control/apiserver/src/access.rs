//! Who asks, and who may do what.

mod decide;
mod gateway;
mod joining;
mod node;

pub(crate) use decide::{BOOTSTRAPPERS, decide, node_name};

use std::collections::BTreeMap;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The user's name: a certificate's common name, such as `system:node:a` or `kubernetes-admin`, or a token's subject.
    pub user: String,
    /// What tells a user from another of the same name; empty where there is no such thing.
    pub uid: String,
    /// The groups: a certificate's organizations, or those of every ServiceAccount.
    pub groups: Vec<String>,
    /// What else is known, such as the Pod that a token is bound to.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Identity {
    /// The group of everybody who has proven to be somebody.
    pub const AUTHENTICATED: &'static str = "system:authenticated";

    /// An identity with no groups.
    pub fn user(name: impl Into<String>) -> Self {
        Self { user: name.into(), uid: String::new(), groups: Vec::new(), extra: BTreeMap::new() }
    }

    /// Adds a group.
    #[must_use]
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.groups.push(name.into());
        self
    }
}

/// What is asked, as far as an authorizer may look at it. Fields that do not apply are empty.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    /// Who asks.
    pub identity: &'a Identity,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`; for paths that are no resource, the
    /// HTTP method in lower case.
    pub verb: &'a str,
    /// The API group.
    pub group: &'a str,
    /// The resource's plural name.
    pub resource: &'a str,
    /// The subresource.
    pub subresource: &'a str,
    /// The namespace.
    pub namespace: &'a str,
    /// The object's name.
    pub name: &'a str,
    /// The path of the request.
    pub path: &'a str,
}

/// An authorizer's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The request goes on.
    Allow,
    /// The request is refused, for this reason (may be empty).
    Deny(String),
}

/// Decides who may do what. Every authenticated request passes it, in process too.
pub trait Authorizer: Send + Sync + 'static {
    /// Decides one request.
    fn authorize(&self, attributes: &Attributes<'_>) -> Decision;
}

/// Lets every authenticated identity do everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAuthenticated;

impl Authorizer for AllowAuthenticated {
    fn authorize(&self, _attributes: &Attributes<'_>) -> Decision {
        Decision::Allow
    }
}

/// What everybody may do who is somebody: see what is served, and ask who they are.
fn is_open_to_all(attributes: &Attributes<'_>) -> bool {
    let reads = attributes.resource.is_empty() && matches!(attributes.verb, "get" | "head");
    let documents = ["/api", "/openapi", "/.well-known", "/openid"];
    reads && (attributes.path == "/" || documents.iter().any(|start| attributes.path.starts_with(start)))
        || attributes.resource == "selfsubjectreviews" && attributes.verb == "create"
}
