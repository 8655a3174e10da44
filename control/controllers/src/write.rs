//! Writes whose answers go into the informer at once, so that the next plan sees them.

use carob_reconcile::{Informer, ObjectKey, Watched};
use kube::api::{Api, DeleteParams, Preconditions};

/// The answer of a write that the object is gone, or was never there.
pub(crate) fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// The object changed under us, or something of that name exists.
pub(crate) fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

/// The namespace is being deleted: nothing can be created in it, and nobody is to be blamed.
pub(crate) fn is_terminating_namespace(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    status.code == 403 && causes.iter().any(|cause| cause.reason == "NamespaceTerminating")
}

/// What the API server says, without the wrapping of the client library.
pub(crate) fn message(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        error => error.to_string(),
    }
}

/// Deletes exactly this object (not a later one of the same name), in the background. Gone already is fine.
pub(crate) async fn delete<K>(api: &Api<K>, informer: &Informer<K>, object: &K) -> kube::Result<()>
where
    K: Watched,
{
    let (key, uid) = (ObjectKey::of(object.meta()), object.meta().uid.clone().unwrap_or_default());
    let params =
        DeleteParams::background().preconditions(Preconditions { uid: Some(uid.clone()), resource_version: None });
    match api.delete(&key.name, &params).await {
        Ok(answer) => match answer.left().filter(is_on_its_way) {
            Some(answer) => informer.observe(answer),
            None => informer.forget(&key, &uid),
        },
        Err(error) if is_gone(&error) => informer.forget(&key, &uid),
        // Another object has this name by now, so this one is gone, too.
        Err(error) if is_conflict(&error) => informer.forget(&key, &uid),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// The deletion was begun, and somebody (the kubelet, a finalizer's owner) has to end it.
fn is_on_its_way<K: Watched>(object: &K) -> bool {
    let meta = object.meta();
    let waits = meta.deletion_grace_period_seconds.is_some_and(|seconds| seconds > 0);
    let held = meta.finalizers.as_ref().is_some_and(|finalizers| !finalizers.is_empty());
    meta.deletion_timestamp.is_some() && (waits || held)
}
