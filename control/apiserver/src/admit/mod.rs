//! What Kubernetes' built-in admission does where it has to look at other objects than the one at hand. What it does to one
//! object alone is its strategy's.

mod accounts;
mod certificates;
mod claims;
mod ingresses;
pub(crate) mod node;
mod pod_addresses;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    status::Status,
    verbs::{Call, Part},
};

/// Completes a new object, or refuses it.
pub(crate) async fn create(call: &Call, object: &mut Value) -> Result<(), Status> {
    node::create(call, object)?;
    match (call.served.resource.group, call.served.resource.kind) {
        ("certificates.k8s.io", "CertificateSigningRequest") => certificates::admit(call, object),
        ("", "Pod") => accounts::admit(call, object).await,
        ("", "PersistentVolumeClaim") => {
            claims::default_class(call, object);
            Ok(())
        }
        ("networking.k8s.io", "Ingress") => {
            ingresses::default_class(call, object);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Completes a change of an object, or of a part of it, or refuses it.
pub(crate) fn update(call: &Call, part: Part, new: &mut Value, old: &Value) -> Result<(), Status> {
    node::update(call, new, old)?;
    match (call.served.resource.group, call.served.resource.kind, part) {
        ("certificates.k8s.io", "CertificateSigningRequest", Part::Status | Part::Of(_)) => {
            certificates::stamp(new, old, Timestamp::now());
            Ok(())
        }
        ("", "PersistentVolumeClaim", Part::Main) => claims::may_grow(call, new, old),
        _ => Ok(()),
    }
}

/// Refuses a deletion.
pub(crate) fn delete(call: &Call, old: &Value) -> Result<(), Status> {
    node::delete(call, old)
}
