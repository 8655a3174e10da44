//! From a token to who it stands for.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::{
    bootstrap,
    claims::{Bound, Claims, Holder},
};
use crate::{ApiServer, Identity};

/// Clocks may differ by this much, in seconds; and what was deleted a moment ago still speaks for a moment.
const LEEWAY: i64 = 60;

/// What a token has proven.
#[derive(Debug)]
pub(crate) struct Proven {
    pub(crate) identity: Identity,
    /// Those of the wanted audiences for which the token is meant.
    pub(crate) audiences: Vec<String>,
}

/// Why a token is worth nothing, in Kubernetes' words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("invalid bearer token")]
    Unknown,
    #[error("service account token has expired")]
    Expired,
    #[error("service account token is not valid yet")]
    NotYet,
    #[error("token audiences {held:?} is invalid for the target audiences {wanted:?}")]
    Audience { held: Vec<String>, wanted: Vec<String> },
    #[error("{kind} {name} not found")]
    Missing { kind: &'static str, name: String },
    #[error("{kind} {name} has been deleted")]
    Deleted { kind: &'static str, name: String },
    #[error("the {kind} UID ({found}) does not match the claim ({claimed})")]
    Replaced { kind: &'static str, found: String, claimed: String },
}

/// Checks a token for any of these audiences.
pub(crate) fn authenticate(api: &ApiServer, token: &str, wanted: &[String], now: Timestamp) -> Result<Proven, Refused> {
    let config = api.config();
    if let Some(shown) = bootstrap::Shown::parse(token) {
        let audiences = shared(&config.audiences(), wanted)?;
        return Ok(Proven { identity: bootstrap::authenticate(api, shown, now)?, audiences });
    }
    let claims = config.tokens.verify(token).ok_or(Refused::Unknown)?;
    let claims: Claims = serde_json::from_slice(&claims).map_err(|_| Refused::Unknown)?;
    if claims.iss != config.issuer || claims.sub != claims.holder.user() {
        return Err(Refused::Unknown);
    }
    in_time(&claims, now)?;
    let audiences = shared(&claims.aud, wanted)?;
    exists(api, &claims.holder, now)?;
    Ok(Proven { identity: identity(claims), audiences })
}

fn in_time(claims: &Claims, now: Timestamp) -> Result<(), Refused> {
    let now = now.as_second();
    if now > claims.exp.saturating_add(LEEWAY) {
        return Err(Refused::Expired);
    }
    if now < claims.nbf.saturating_sub(LEEWAY) { Err(Refused::NotYet) } else { Ok(()) }
}

fn shared(held: &[String], wanted: &[String]) -> Result<Vec<String>, Refused> {
    let shared: Vec<String> = held.iter().filter(|one| wanted.contains(one)).cloned().collect();
    if shared.is_empty() {
        return Err(Refused::Audience { held: held.to_vec(), wanted: wanted.to_vec() });
    }
    Ok(shared)
}

fn exists(api: &ApiServer, holder: &Holder, now: Timestamp) -> Result<(), Refused> {
    let home = holder.namespace.as_str();
    stands(api, "serviceaccounts", "service account", home, &holder.serviceaccount, now)?;
    if let Some(pod) = &holder.pod {
        return stands(api, "pods", "pod", home, pod, now);
    }
    if let Some(secret) = &holder.secret {
        return stands(api, "secrets", "secret", home, secret, now);
    }
    holder.node.as_ref().map_or(Ok(()), |node| stands(api, "nodes", "node", "", node, now))
}

/// What of an object decides whether a token may still speak of it.
#[derive(Deserialize)]
struct Held {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    uid: String,
    deletion_timestamp: Option<Timestamp>,
}

fn stands(
    api: &ApiServer,
    plural: &str,
    kind: &'static str,
    namespace: &str,
    claimed: &Bound,
    now: Timestamp,
) -> Result<(), Refused> {
    let name = if namespace.is_empty() { claimed.name.clone() } else { format!("{namespace}/{}", claimed.name) };
    let entry = api.registry().core(plural).and_then(|served| served.cache.get(&name));
    let held = entry.and_then(|entry| serde_json::from_slice::<Held>(&entry.bytes).ok());
    let Some(Held { metadata }) = held else { return Err(Refused::Missing { kind, name }) };
    let deleted_before = now.saturating_sub(SignedDuration::from_secs(LEEWAY)).unwrap_or(now);
    if metadata.deletion_timestamp.is_some_and(|deleted| deleted < deleted_before) {
        return Err(Refused::Deleted { kind, name });
    }
    if metadata.uid != claimed.uid {
        return Err(Refused::Replaced { kind, found: metadata.uid, claimed: claimed.uid.clone() });
    }
    Ok(())
}

fn identity(claims: Claims) -> Identity {
    let Claims { holder, sub, jti, .. } = claims;
    let mut extra = BTreeMap::new();
    let mut say = |key: &str, value: String| {
        if !value.is_empty() {
            extra.insert(format!("authentication.kubernetes.io/{key}"), vec![value]);
        }
    };
    say("credential-id", format!("JTI={jti}"));
    for (kind, bound) in [("pod", holder.pod), ("node", holder.node)] {
        let Bound { name, uid } = bound.unwrap_or_default();
        say(&format!("{kind}-name"), name);
        say(&format!("{kind}-uid"), uid);
    }
    let everyone = format!("system:serviceaccounts:{}", holder.namespace);
    let groups = vec!["system:serviceaccounts".to_owned(), everyone, Identity::AUTHENTICATED.to_owned()];
    Identity { user: sub, uid: holder.serviceaccount.uid, groups, extra }
}
