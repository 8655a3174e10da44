//! What a token says.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::random;

/// The claims of a token, as Kubernetes writes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) aud: Vec<String>,
    /// Seconds since 1970, as `iat` and `nbf`.
    pub(crate) exp: i64,
    pub(crate) iat: i64,
    pub(crate) iss: String,
    pub(crate) jti: String,
    #[serde(rename = "kubernetes.io")]
    pub(crate) holder: Holder,
    pub(crate) nbf: i64,
    pub(crate) sub: String,
}

/// Whose token it is, and what it is bound to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Holder {
    pub(crate) namespace: String,
    /// The Pod's node, or the Node that the token is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<Bound>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pod: Option<Bound>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<Bound>,
    pub(crate) serviceaccount: Bound,
}

/// One object, of which another with the same name is no substitute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bound {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) uid: String,
}

impl Claims {
    /// The claims of a token that is good from now on, for `seconds`.
    pub(crate) fn new(issuer: &str, audiences: Vec<String>, holder: Holder, now: Timestamp, seconds: i64) -> Self {
        let now = now.as_second();
        let sub = holder.user();
        let (iss, jti, exp) = (issuer.to_owned(), random::uuid(), now.saturating_add(seconds));
        Self { aud: audiences, exp, iat: now, iss, jti, holder, nbf: now, sub }
    }
}

impl Holder {
    /// The user that a ServiceAccount is.
    pub(crate) fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.serviceaccount.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_written_as_kubernetes_writes_them() {
        let bound = |name: &str| Bound { name: name.to_owned(), uid: format!("{name}-uid") };
        let holder = Holder {
            namespace: "ns".to_owned(),
            pod: Some(bound("web")),
            node: Some(Bound { name: "n1".to_owned(), uid: String::new() }),
            secret: None,
            serviceaccount: bound("robot"),
        };
        let mut claims = Claims::new("https://issuer", vec!["a".to_owned()], holder, Timestamp::UNIX_EPOCH, 600);
        claims.jti = "id".to_owned();
        let expected = concat!(
            r#"{"aud":["a"],"exp":600,"iat":0,"iss":"https://issuer","jti":"id","kubernetes.io":{"namespace":"ns","#,
            r#""node":{"name":"n1"},"pod":{"name":"web","uid":"web-uid"},"#,
            r#""serviceaccount":{"name":"robot","uid":"robot-uid"}},"nbf":0,"sub":"system:serviceaccount:ns:robot"}"#,
        );
        assert_eq!(serde_json::to_string(&claims).unwrap(), expected);
        assert_eq!(serde_json::from_str::<Claims>(expected).unwrap(), claims);
    }
}
