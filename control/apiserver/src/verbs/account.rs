//! What the ServiceAccount of a new Pod means for it: it must be there, and its token is mounted, as Kubernetes' admission
//! of the same name has it.

use std::sync::Arc;
use std::time::Duration;

use carob_resources::{AccountPolicy, meta};
use serde_json::Value;

use super::Call;
use crate::{cache::Entry, status::Status};

/// The account of a new namespace is made a moment after the namespace; it is waited for, and no other.
const DEFAULT_ACCOUNT: &str = "default";
const TRIES: usize = 10;
const BETWEEN: Duration = Duration::from_millis(100);

/// Gives a new Pod access to the API, unless it or its account says otherwise.
pub(super) async fn admit(call: &Call, object: &mut Value) -> Result<(), Status> {
    let resource = call.served.resource;
    let is_pod = resource.group.is_empty() && resource.plural == "pods";
    if !is_pod || !call.api.config().account_admission {
        return Ok(());
    }
    let account = object["spec"]["serviceAccountName"].as_str().unwrap_or(DEFAULT_ACCOUNT).to_owned();
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let found = find(call, &account).await.ok_or_else(|| {
        let namespace = &call.address.namespace;
        let why =
            format!("error looking up service account {namespace}/{account}: serviceaccount \"{account}\" not found");
        Status::forbidden(resource, &name, why)
    })?;
    let policy = AccountPolicy::read(&found.object());
    policy.admit(object, || meta::generated_name("kube-api-access-"));
    Ok(())
}

async fn find(call: &Call, account: &str) -> Option<Arc<Entry>> {
    let accounts = call.api.registry().core("serviceaccounts")?;
    let key = accounts.key(&call.address.namespace, account);
    let tries = if account == DEFAULT_ACCOUNT { TRIES } else { 1 };
    for n in 0..tries {
        if n > 0 {
            tokio::time::sleep(BETWEEN).await;
        }
        if let Some(found) = accounts.cache.get(&key) {
            return Some(found);
        }
    }
    None
}
