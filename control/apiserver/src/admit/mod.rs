//! What Kubernetes' built-in admission does where it has to look at other objects than the one at hand. What it does to one
//! object alone is its strategy's.

mod accounts;
mod claims;

use serde_json::Value;

use crate::{status::Status, verbs::Call};

/// Completes a new object, or refuses it.
pub(crate) async fn create(call: &Call, object: &mut Value) -> Result<(), Status> {
    match (call.served.resource.group, call.served.resource.kind) {
        ("", "Pod") => accounts::admit(call, object).await,
        ("", "PersistentVolumeClaim") => {
            claims::default_class(call, object);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Refuses a change of an object.
pub(crate) fn update(call: &Call, new: &Value, old: &Value) -> Result<(), Status> {
    match (call.served.resource.group, call.served.resource.kind) {
        ("", "PersistentVolumeClaim") => claims::may_grow(call, new, old),
        _ => Ok(()),
    }
}
