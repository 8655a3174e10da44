use crate::Strategy;

/// Whether a resource's objects live in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One name space for the whole cluster.
    Cluster,
    /// One name space per namespace.
    Namespaced,
}

/// A part of an object, or an act on it, with an address of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subresource {
    /// `/status`: writes touch only `.status`.
    Status,
    /// `/scale`: an `autoscaling/v1` Scale made of these three paths.
    Scale {
        /// Where the wanted number of replicas stands, such as `/spec/replicas`.
        spec_replicas: &'static str,
        /// Where the observed number stands.
        status_replicas: &'static str,
        /// Where the label selector stands; it is given as a string in the Scale.
        selector: &'static str,
    },
    /// `/finalize` of a namespace: writes touch only `.spec.finalizers`.
    Finalize,
    /// `/binding` of a Pod.
    Binding,
    /// `/eviction` of a Pod.
    Eviction,
    /// `/ephemeralcontainers` of a Pod: writes touch only `.spec.ephemeralContainers`.
    EphemeralContainers,
    /// `/log` of a Pod.
    Log,
    /// `/proxy` of a Node, Pod or Service: what follows is asked of the kubelet, of a port of the Pod, or of a Pod behind
    /// the Service.
    Proxy,
    /// `/exec` of a Pod: a connection to a program run in a container.
    Exec,
    /// `/attach` of a Pod: a connection to a container's own program.
    Attach,
    /// `/portforward` of a Pod: a connection to its ports.
    PortForward,
    /// `/token` of a ServiceAccount.
    Token,
    /// `/approval` of a CertificateSigningRequest: writes touch only the conditions of its status.
    Approval,
    /// `/resize` of a Pod: writes touch only the resources of its containers.
    Resize,
}

/// A question that is answered in the status of what was posted. Nothing of it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Review {
    /// Whose a token is.
    Token,
    /// Who asks.
    SelfSubject,
}

/// One kind of object that the API serves, declared as data.
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The version, such as `v1`.
    pub version: &'static str,
    /// The kind, such as `Pod`. The list's kind is this with `List` behind it.
    pub kind: &'static str,
    /// The name in URLs, such as `pods`.
    pub plural: &'static str,
    /// The name for one, such as `pod`.
    pub singular: &'static str,
    /// What people may type instead, such as `po`.
    pub short_names: &'static [&'static str],
    /// Groups of resources it belongs to, such as `all`.
    pub categories: &'static [&'static str],
    /// Whether objects live in a namespace.
    pub scope: Scope,
    /// What else has an address below an object's own.
    pub subresources: &'static [Subresource],
    /// Under which name its objects are kept. Two resources with the same name here serve the same objects, each in its own
    /// version (events are served by the core group and by `events.k8s.io`).
    pub storage: &'static str,
    /// Its own rules.
    pub strategy: &'static dyn Strategy,
}
