//! Tokens of ServiceAccounts, which are asked for anew before they end.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount, ServiceAccountTokenProjection};
use kube::api::PostParams;
use kube::{Api, Client};

use super::error::VolumeError;
use crate::clock::{after, between};
use crate::errors::said;

/// A token, and when it is time for another.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) renew_at: Timestamp,
    expires: Timestamp,
}

/// At the latest after this long, whatever its life.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Between tries to renew a token that still holds.
const RETRY: Duration = Duration::from_secs(10);

impl Token {
    /// Another is asked for when four fifths of its life are over.
    pub(super) fn new(text: String, issued: Timestamp, expires: Timestamp) -> Token {
        let wait = (between(issued, expires) * 4 / 5).min(LONGEST);
        Token { text, renew_at: after(issued, wait), expires }
    }

    /// The token that is there, if it need not be renewed yet.
    pub(super) fn current(&self, now: Timestamp) -> Option<&Token> {
        (now < self.renew_at).then_some(self)
    }

    /// It could not be renewed at `now`; as long as it holds, it is tried again a little later.
    pub(super) fn kept(mut self, now: Timestamp) -> Option<Token> {
        self.renew_at = after(now, RETRY);
        (now < self.expires).then_some(self)
    }
}

/// Asks for a token that is bound to the Pod.
pub(super) async fn request(
    client: &Client,
    pod: &Pod,
    source: &ServiceAccountTokenProjection,
    now: Timestamp,
) -> Result<Token, VolumeError> {
    let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref());
    let account = account.filter(|name| !name.is_empty()).unwrap_or("default");
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let answer = accounts.create_token_request(account, &PostParams::default(), &body(pod, source)).await;
    let answer = answer.map_err(|error| VolumeError::Token(said(&error)))?;
    let status = answer.status.unwrap_or_default();
    match (status.token, status.expiration_timestamp) {
        (Some(token), Some(expires)) => Ok(Token::new(token, now, expires.0)),
        _ => Err(VolumeError::Token("the answer holds none".to_owned())),
    }
}

fn body(pod: &Pod, source: &ServiceAccountTokenProjection) -> TokenRequest {
    let bound_object_ref = BoundObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
    };
    let spec = TokenRequestSpec {
        audiences: source.audience.clone().filter(|audience| !audience.is_empty()).map(|audience| vec![audience]),
        expiration_seconds: source.expiration_seconds,
        bound_object_ref: Some(bound_object_ref),
        ..TokenRequestSpec::default()
    };
    TokenRequest { spec: Some(spec), ..TokenRequest::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_at_four_fifths_of_its_life_and_kept_while_that_fails() {
        let at = |seconds| after(Timestamp::UNIX_EPOCH, Duration::from_secs(seconds));
        let token = Token::new("t".into(), at(0), at(1000));
        assert!(token.current(at(799)).is_some());
        assert!(token.current(at(800)).is_none());
        let kept = token.clone().kept(at(800)).unwrap();
        assert!(kept.current(at(809)).is_some() && kept.current(at(810)).is_none());
        assert!(token.kept(at(1000)).is_none());
        let year = Token::new("t".into(), at(0), at(365 * 24 * 3600));
        assert!(year.current(at(24 * 3600)).is_none());
    }
}
