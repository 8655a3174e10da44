//! A Pod runs as a ServiceAccount that exists.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use crate::{status::Status, verbs::Call};

/// Every namespace gets this account from a controller, a moment after it was made.
const AUTOMATIC: &str = "default";
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn exists(call: &Call, pod: &Value) -> Result<(), Status> {
    let Some(accounts) = call.api.registry().core("serviceaccounts") else { return Ok(()) };
    let name = pod["spec"]["serviceAccountName"].as_str().unwrap_or_default();
    let namespace = call.address.namespace.as_str();
    let key = accounts.key(namespace, name);
    if accounts.cache.get(&key).is_some() {
        return Ok(());
    }
    if name == AUTOMATIC && timeout(PATIENCE, accounts.cache.appears(&key)).await.is_ok() {
        return Ok(());
    }
    let why = format!("error looking up service account {namespace}/{name}: serviceaccount {name:?} not found");
    let pod = pod["metadata"]["name"].as_str().filter(|name| !name.is_empty());
    Err(Status::forbidden(call.served.resource, pod.unwrap_or_default(), why))
}
