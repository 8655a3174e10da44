//! Whom a request is judged by. Nodes, and machines that are about to become one, have rights of their own that no
//! configuration widens; everybody else is the configured authorizer's.

use carob_pki::NODE_USER_PREFIX;

use super::{Attributes, Decision, Identity, joining, node};
use crate::ApiServer;

/// The group of all nodes.
const NODES: &str = carob_pki::NODES_GROUP;
/// The group of those who show a bootstrap token.
pub(crate) const BOOTSTRAPPERS: &str = "system:bootstrappers";

/// Decides one request.
pub(crate) fn decide(api: &ApiServer, attributes: &Attributes<'_>) -> Decision {
    let identity = attributes.identity;
    let is_in = |group: &str| identity.groups.iter().any(|one| one == group);
    match node_name(identity) {
        Some(name) => node::decide(api, name, attributes),
        None if is_in(NODES) => Decision::Deny(format!("a member of {NODES} is called {NODE_USER_PREFIX}NAME")),
        None if is_in(BOOTSTRAPPERS) => joining::decide(attributes),
        None => api.config().authorizer.authorize(attributes),
    }
}

/// The name of the node that asks, if one does.
pub(crate) fn node_name(identity: &Identity) -> Option<&str> {
    let is_node = identity.groups.iter().any(|group| group == NODES);
    identity.user.strip_prefix(NODE_USER_PREFIX).filter(|name| is_node && !name.is_empty())
}
