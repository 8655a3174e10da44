use crate::KeyPair;

/// The user that a node is begins with this; the node's name follows.
pub const NODE_USER_PREFIX: &str = "system:node:";

/// The group of all nodes.
pub const NODES_GROUP: &str = "system:nodes";

/// The user that the node of this name is.
pub fn node_user(name: &str) -> String {
    format!("{NODE_USER_PREFIX}{name}")
}

/// What a node proves itself with. Both certificates are signed by the cluster's authority, say `system:node:NAME` of the
/// group `system:nodes`, and are replaced together with their keys before they end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeIdentity {
    /// The cluster's authority, as PEM: whom to trust.
    pub authority: String,
    /// For connections that the node makes: to the API server and to other nodes.
    pub client: KeyPair,
    /// For connections that the node takes, with its name and its addresses as alternative names.
    /// There is none before it was asked for, and none where nobody connects to the node by TCP.
    pub serving: Option<KeyPair>,
}
