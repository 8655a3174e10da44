//! Removes bootstrap tokens that are over.

use std::sync::Arc;
use std::time::Duration;

use carob_reconcile::{Informer, Next, ObjectKey, Queue, Reconcile, Whole, follow};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use crate::context::Context;
use crate::write;

const NAME: &str = "token-cleaner";
const NAMESPACE: &str = "kube-system";
const TYPE: &str = "bootstrap.kubernetes.io/token";

/// Starts the controller. Of all Secrets it sees those that are such tokens.
pub(crate) fn start(context: &mut Context<'_>) {
    let client = context.client(NAME);
    let tokens = Informer::<Secret>::new("Secret");
    let source = Whole { api: Api::namespaced(client.clone(), NAMESPACE), fields: Some(format!("type={TYPE}")) };
    context.tasks.spawn(follow(source, tokens.clone()));
    let queue = Arc::new(Queue::new());
    let wake = queue.clone();
    tokens.on_change(move |change| change.new.iter().for_each(|token| wake.add(ObjectKey::of(&token.metadata))));
    context.spawn(Arc::new(TokenCleaner { client, tokens }), queue, 1);
}

struct TokenCleaner {
    client: Client,
    tokens: Informer<Secret>,
}

impl Reconcile for TokenCleaner {
    type Key = ObjectKey;
    const NAME: &'static str = NAME;

    async fn reconcile(&self, key: ObjectKey) -> kube::Result<Next> {
        let Some(token) = self.tokens.find(&key) else { return Ok(Next::Done) };
        match left(&token, Timestamp::now()) {
            None => Ok(Next::Done),
            Some(left) if left.is_zero() => {
                let api = Api::namespaced(self.client.clone(), NAMESPACE);
                write::delete(&api, &self.tokens, &token).await?;
                tracing::info!(token = key.name, "removed a bootstrap token that is over");
                Ok(Next::Done)
            }
            Some(left) => Ok(Next::After(left)),
        }
    }
}

/// How long the token is still good; `None`: for ever, or it says something that nobody can read, which a person should see.
fn left(token: &Secret, now: Timestamp) -> Option<Duration> {
    let until = token.data.as_ref()?.get("expiration")?;
    let until: Timestamp = std::str::from_utf8(&until.0).ok()?.parse().ok()?;
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    #[test]
    fn a_token_is_over_when_it_says_so() {
        let now = "2026-01-01T12:00:00Z".parse().unwrap();
        let cases = [
            (Some("2026-01-01T12:01:00Z"), Some(Duration::from_secs(60))),
            (Some("2026-01-01T12:00:00Z"), Some(Duration::ZERO)),
            (Some("2025-01-01T12:00:00+01:00"), Some(Duration::ZERO)),
            (Some("soon"), None),
            (None, None),
        ];
        for (until, expected) in cases {
            let data = until.map(|until| [("expiration".to_owned(), ByteString(until.as_bytes().to_vec()))].into());
            assert_eq!(left(&Secret { data, ..Secret::default() }, now), expected, "{until:?}");
        }
    }
}
