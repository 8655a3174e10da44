//! Tokens by which a machine that wants to become a node says that it was invited: `ID.SECRET`, kept as a Secret
//! (<https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/>).

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::Value;

use super::authenticate::Refused;
use crate::{ApiServer, Identity, access::BOOTSTRAPPERS};

const NAMESPACE: &str = "kube-system";
const TYPE: &str = "bootstrap.kubernetes.io/token";

/// A token as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown<'a> {
    id: &'a str,
    secret: &'a str,
}

impl<'a> Shown<'a> {
    /// Six and sixteen lower-case letters and digits, with a dot between. Nothing else looks like it.
    pub(super) fn parse(token: &'a str) -> Option<Self> {
        let (id, secret) = token.split_once('.')?;
        let is = |text: &str, length| {
            text.len() == length && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        (is(id, 6) && is(secret, 16)).then_some(Self { id, secret })
    }
}

/// Whom a token stands for.
pub(super) fn authenticate(api: &ApiServer, shown: Shown<'_>, now: Timestamp) -> Result<Identity, Refused> {
    let secrets = api.registry().core("secrets").ok_or(Refused::Unknown)?;
    let held = secrets.cache.get(&secrets.key(NAMESPACE, &format!("bootstrap-token-{}", shown.id)));
    judge(&held.ok_or(Refused::Unknown)?.object(), shown, now)
}

/// What the Secret says of the token that is shown. Pure.
fn judge(secret: &Value, shown: Shown<'_>, now: Timestamp) -> Result<Identity, Refused> {
    let held = |key: &str| decoded(&secret["data"][key]);
    let is_alive = secret["metadata"]["deletionTimestamp"].is_null();
    let is_it = secret["type"] == TYPE && held("token-id") == shown.id && same(&held("token-secret"), shown.secret);
    if !is_alive || !is_it || held("usage-bootstrap-authentication") != "true" {
        return Err(Refused::Unknown);
    }
    match held("expiration").as_str() {
        "" => {}
        // A time that nobody can read has passed: what was meant to end must not last for ever.
        until if until.parse::<Timestamp>().is_ok_and(|until| now < until) => {}
        _ => return Err(Refused::Expired),
    }
    let identity = Identity::user(format!("system:bootstrap:{}", shown.id)).group(BOOTSTRAPPERS);
    let extra = held("auth-extra-groups");
    let groups = extra.split(',').filter(|group| is_bootstrap_group(group));
    Ok(groups.fold(identity, Identity::group).group(Identity::AUTHENTICATED))
}

fn decoded(value: &Value) -> String {
    let bytes = STANDARD.decode(value.as_str().unwrap_or_default()).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

/// Takes as long whichever byte differs.
fn same(held: &str, shown: &str) -> bool {
    let differing = held.bytes().zip(shown.bytes()).fold(0, |differing, (held, shown)| differing | (held ^ shown));
    held.len() == shown.len() && differing == 0
}

/// A token makes nobody a member of any other group.
fn is_bootstrap_group(group: &str) -> bool {
    let rest = group.strip_prefix(BOOTSTRAPPERS).and_then(|rest| rest.strip_prefix(':')).unwrap_or_default();
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b':' | b'-');
    !rest.is_empty() && rest.len() <= 256 && rest.bytes().all(is_allowed) && !rest.ends_with([':', '-'])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TOKEN: &str = "abcdef.0123456789abcdef";

    fn secret(change: &[(&str, &str)]) -> Value {
        let mut data = json!({});
        let held =
            [("token-id", "abcdef"), ("token-secret", "0123456789abcdef"), ("usage-bootstrap-authentication", "true")];
        for (key, value) in held.iter().chain(change) {
            data[*key] = json!(STANDARD.encode(value));
        }
        json!({ "metadata": {}, "type": TYPE, "data": data })
    }

    fn judged(secret: &Value) -> Result<Identity, Refused> {
        judge(secret, Shown::parse(TOKEN).unwrap(), "2026-01-01T12:00:00Z".parse().unwrap())
    }

    #[test]
    fn only_two_short_words_are_such_a_token() {
        for other in
            ["", "abcdef", "abcdef.0123456789ABCDEF", "abcde.0123456789abcdef", "a.b.c", "abcdef.0123456789abcdef.x"]
        {
            assert_eq!(Shown::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_token_makes_its_holder_a_bootstrapper_and_nothing_else() {
        let groups = "system:bootstrappers:edge,system:masters,system:bootstrappers:,system:bootstrappers:x-";
        let identity =
            judged(&secret(&[("auth-extra-groups", groups), ("expiration", "2026-01-01T12:00:01Z")])).unwrap();
        assert_eq!(identity.user, "system:bootstrap:abcdef");
        assert_eq!(identity.groups, ["system:bootstrappers", "system:bootstrappers:edge", "system:authenticated"]);
    }

    #[test]
    fn what_does_not_fit_or_is_over_is_refused() {
        let cases = [
            (secret(&[("token-secret", "0123456789abcdeX")]), Refused::Unknown),
            (secret(&[("token-secret", "")]), Refused::Unknown),
            (secret(&[("token-id", "fedcba")]), Refused::Unknown),
            (secret(&[("usage-bootstrap-authentication", "false")]), Refused::Unknown),
            (secret(&[("expiration", "2026-01-01T12:00:00Z")]), Refused::Expired),
            (secret(&[("expiration", "tomorrow")]), Refused::Expired),
        ];
        for (secret, expected) in cases {
            assert_eq!(judged(&secret), Err(expected), "{secret}");
        }
        let mut other = secret(&[]);
        other["type"] = json!("Opaque");
        assert_eq!(judged(&other), Err(Refused::Unknown));
    }
}
