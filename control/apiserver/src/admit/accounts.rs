//! A Pod runs as a ServiceAccount that exists.

use std::time::Duration;

use carob_resources::{AccountPolicy, meta};
use serde_json::Value;
use tokio::time::timeout;

use crate::{status::Status, verbs::Call};

/// Every namespace gets this account from a controller, a moment after it was made.
const AUTOMATIC: &str = "default";
const PATIENCE: Duration = Duration::from_secs(2);

/// Refuses a Pod whose account is not there, and gives it what its account gives.
pub(super) async fn admit(call: &Call, pod: &mut Value) -> Result<(), Status> {
    let Some(accounts) = call.api.registry().core("serviceaccounts") else { return Ok(()) };
    let name = pod["spec"]["serviceAccountName"].as_str().unwrap_or_default();
    let namespace = call.address.namespace.as_str();
    let key = accounts.key(namespace, name);
    if accounts.cache.get(&key).is_none() && name == AUTOMATIC {
        // Whether it came is seen below.
        let _ = timeout(PATIENCE, accounts.cache.appears(&key)).await;
    }
    let Some(account) = accounts.cache.get(&key) else {
        let why = format!("error looking up service account {namespace}/{name}: serviceaccount {name:?} not found");
        let pod = pod["metadata"]["name"].as_str().filter(|name| !name.is_empty());
        return Err(Status::forbidden(call.served.resource, pod.unwrap_or_default(), why));
    };
    if call.api.config().mount_tokens {
        AccountPolicy::read(&account.object()).admit(pod, || meta::generated_name("kube-api-access-"));
    }
    Ok(())
}
