//! What a list may be told.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{request::Query, status::Status};

/// At which revision a list is to be consistent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// At any, so at the newest here.
    Now,
    /// At this one or a newer one.
    NotOlderThan(u64),
    /// At exactly this one.
    Exactly(u64),
    /// Goes on behind a key, at the revision of the list's first part; without one, at the newest.
    Behind { key: String, revision: Option<u64> },
}

/// `limit`, `continue`, `resourceVersion` and `resourceVersionMatch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListOptions {
    /// At most this many objects.
    pub(super) limit: Option<usize>,
    pub(super) at: At,
}

impl ListOptions {
    pub(super) fn parse(query: &Query) -> Result<Self, Status> {
        let limit = query.number("limit")?.filter(|limit| *limit > 0).and_then(|limit| usize::try_from(limit).ok());
        let revision = query.revision()?;
        let rule = query.get("resourceVersionMatch");
        let at = match query.get("continue") {
            Some(token) => behind(token, revision, rule)?,
            None => at(revision, rule, limit.is_some())?,
        };
        Ok(Self { limit, at })
    }
}

/// The token that continues a list behind `key`.
pub(super) fn token(key: &str, revision: Option<u64>) -> String {
    let revision = revision.map_or(json!(-1), |revision| json!(revision));
    BASE64_URL_SAFE_NO_PAD.encode(json!({ "v": "meta.k8s.io/v1", "rv": revision, "start": key }).to_string())
}

fn behind(token: &str, revision: Option<u64>, rule: Option<&str>) -> Result<At, Status> {
    if rule.is_some() {
        return Err(invalid(
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided",
        ));
    }
    if revision.is_some_and(|revision| revision != 0) {
        return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
    }
    let unreadable = || Status::bad_request("continue key is not valid: it is not one that this server gave");
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).map_err(|_| unreadable())?;
    let token: Value = serde_json::from_slice(&bytes).map_err(|_| unreadable())?;
    let key = token["start"].as_str().filter(|_| token["v"] == "meta.k8s.io/v1").ok_or_else(unreadable)?;
    Ok(At::Behind { key: key.to_owned(), revision: token["rv"].as_u64() })
}

fn at(revision: Option<u64>, rule: Option<&str>, limited: bool) -> Result<At, Status> {
    match (revision, rule) {
        (None, Some(_)) => Err(invalid(
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        )),
        (None | Some(0), None) => Ok(At::Now),
        (Some(0), Some("Exact")) => Err(invalid(
            "resourceVersionMatch: Forbidden: resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\"",
        )),
        (Some(revision), Some("Exact")) => Ok(At::Exactly(revision)),
        (Some(revision), Some("NotOlderThan")) => Ok(At::NotOlderThan(revision)),
        // The rule of old, from before resourceVersionMatch.
        (Some(revision), None) if limited => Ok(At::Exactly(revision)),
        (Some(revision), None) => Ok(At::NotOlderThan(revision)),
        (Some(_), Some(other)) => Err(invalid(&format!(
            "resourceVersionMatch: Unsupported value: {other:?}: supported values: \"Exact\", \"NotOlderThan\""
        ))),
    }
}

/// Options that contradict each other.
pub(super) fn invalid(told: &str) -> Status {
    Status::new(422, "Invalid", format!("ListOptions.meta.k8s.io \"\" is invalid: {told}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<ListOptions, Status> {
        ListOptions::parse(&Query::parse(&format!("/x?{query}").parse().unwrap()).unwrap())
    }

    #[test]
    fn revisions_and_their_rules() {
        let token = token("a/b", Some(7));
        let cases = [
            ("", At::Now),
            ("resourceVersion=0", At::Now),
            ("resourceVersion=5", At::NotOlderThan(5)),
            ("resourceVersion=5&limit=2", At::Exactly(5)),
            ("resourceVersion=5&limit=2&resourceVersionMatch=NotOlderThan", At::NotOlderThan(5)),
            ("resourceVersion=5&resourceVersionMatch=Exact", At::Exactly(5)),
            (&format!("continue={token}"), At::Behind { key: "a/b".into(), revision: Some(7) }),
        ];
        for (query, expected) in cases {
            assert_eq!(parse(query).unwrap().at, expected, "{query}");
        }
    }

    #[test]
    fn contradictions_are_told() {
        let token = token("a/b", None);
        let cases = [
            ("resourceVersionMatch=Exact", 422),
            ("resourceVersion=0&resourceVersionMatch=Exact", 422),
            ("resourceVersion=1&resourceVersionMatch=Perhaps", 422),
            ("resourceVersion=one", 400),
            ("limit=many", 400),
            ("continue=%21", 400),
            (&format!("continue={token}&resourceVersion=4"), 400),
            (&format!("continue={token}&resourceVersionMatch=Exact&resourceVersion=4"), 422),
        ];
        for (query, code) in cases {
            assert_eq!(parse(query).unwrap_err().code(), code, "{query}");
        }
    }
}
