//! The parameters behind the question mark.

use http::Uri;

use crate::status::Status;

/// A request's query parameters, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(uri: &Uri) -> Result<Self, Status> {
        axum::extract::Query::try_from_uri(uri)
            .map(|axum::extract::Query(pairs)| Self(pairs))
            .map_err(|error| Status::bad_request(format!("the query cannot be read: {error}")))
    }

    /// The first value of a parameter; empty counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// All values of a parameter that may be given more than once.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Kubernetes takes everything but `false` and `0` for true, `?watch` with no value too.
    pub(crate) fn flag(&self, name: &str) -> bool {
        let value = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        value.is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Status> {
        self.get(name)
            .map(|value| {
                value.parse().map_err(|_| Status::bad_request(format!("{name}: {value:?} is not a whole number")))
            })
            .transpose()
    }

    /// `resourceVersion`, if one is given.
    pub(crate) fn revision(&self) -> Result<Option<u64>, Status> {
        self.get("resourceVersion").map(parse_revision).transpose()
    }

    /// Whether `dryRun=All` is asked for.
    pub(crate) fn dry_run(&self) -> Result<bool, Status> {
        match self.get("dryRun") {
            None => Ok(false),
            Some("All") => Ok(true),
            Some(other) => Err(Status::new(
                422,
                "Invalid",
                format!(" \"\" is invalid: dryRun: Unsupported value: {other:?}: supported values: \"All\""),
            )),
        }
    }
}

pub(crate) fn parse_revision(text: &str) -> Result<u64, Status> {
    text.parse()
        .map_err(|_| Status::bad_request(format!("Invalid value: {text:?}: resourceVersion must be a whole number")))
}
