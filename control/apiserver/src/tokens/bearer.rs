//! `Authorization: Bearer`, as RFC 6750 has it.

use http::{HeaderMap, header};
use jiff::Timestamp;

use super::authenticate;
use crate::{ApiServer, Identity};

/// Who shows a token that is good for the API itself. Why another is not is nobody's business but the operator's.
pub(crate) fn bearer(api: &ApiServer, headers: &HeaderMap) -> Option<Identity> {
    let token = shown(headers)?;
    match authenticate(api, token, &api.config().audiences(), Timestamp::now()) {
        Ok(proven) => Some(proven.identity),
        Err(refused) => {
            tracing::debug!(%refused, "a bearer token was refused");
            None
        }
    }
}

fn shown(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_bearer_tokens_are_taken() {
        let cases = [("Bearer a.b.c", Some("a.b.c")), ("bearer  x", Some("x")), ("Basic YTpi", None), ("Bearer", None)];
        for (value, expected) in cases {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))]);
            assert_eq!(shown(&headers), expected, "{value}");
        }
        assert_eq!(shown(&HeaderMap::new()), None);
    }
}
