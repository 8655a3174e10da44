//! In which form the client wants its answer.

use http::{HeaderMap, header};

use crate::status::Status;

/// A form that objects are sent in. All are JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The objects themselves.
    Object,
    /// Rows of cells for people, as `meta.k8s.io/v1` Table.
    Table,
    /// Only the metadata, as `meta.k8s.io/v1` PartialObjectMetadata.
    Metadata,
}

impl Form {
    /// The first form of the `Accept` header that is spoken here.
    pub(crate) fn negotiate(headers: &HeaderMap) -> Result<Self, Status> {
        accepted(headers)
            .into_iter()
            .find_map(|wish| match (wish.kind.as_deref(), wish.group.as_deref(), wish.version.as_deref()) {
                (None, ..) => Some(Self::Object),
                (Some("Table"), Some("meta.k8s.io"), Some("v1")) => Some(Self::Table),
                (Some("PartialObjectMetadata" | "PartialObjectMetadataList"), Some("meta.k8s.io"), Some("v1")) => {
                    Some(Self::Metadata)
                }
                _ => None,
            })
            .ok_or_else(|| {
                Status::not_acceptable(
                    "application/json, application/json;as=Table;v=v1;g=meta.k8s.io, \
                     application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
                )
            })
    }
}

/// One media range of an `Accept` header that covers JSON, with the object it asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Wish {
    pub(crate) kind: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) version: Option<String>,
    quality: f32,
}

/// The ranges of the `Accept` header that cover JSON, the most wanted first. No header accepts everything.
pub(crate) fn accepted(headers: &HeaderMap) -> Vec<Wish> {
    let mut wishes: Vec<Wish> = Vec::new();
    let mut any = false;
    for value in headers.get_all(header::ACCEPT) {
        any = true;
        wishes.extend(value.to_str().unwrap_or_default().split(',').filter_map(wish));
    }
    if !any {
        wishes.push(Wish { quality: 1.0, ..Wish::default() });
    }
    wishes.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    wishes
}

fn wish(range: &str) -> Option<Wish> {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next()?.to_ascii_lowercase();
    if !matches!(media.as_str(), "application/json" | "application/*" | "*/*") {
        return None;
    }
    let mut wish = Wish { quality: 1.0, ..Wish::default() };
    for (key, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = value.trim_matches('"');
        match key {
            "as" => wish.kind = Some(value.to_owned()),
            "g" => wish.group = Some(value.to_owned()),
            "v" => wish.version = Some(value.to_owned()),
            "q" => wish.quality = value.parse().unwrap_or(1.0),
            _ => {}
        }
    }
    Some(wish)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_first_spoken_form_wins() {
        let cases = [
            ("application/json", Some(Form::Object)),
            ("*/*", Some(Form::Object)),
            ("application/vnd.kubernetes.protobuf,application/json", Some(Form::Object)),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                Some(Form::Table),
            ),
            (
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json",
                Some(Form::Metadata),
            ),
            ("application/json;q=0.5, application/json;as=Table;v=v1;g=meta.k8s.io;q=0.1", Some(Form::Object)),
            ("application/json;as=Picture;v=v1;g=meta.k8s.io", None),
            ("application/vnd.kubernetes.protobuf", None),
            ("text/html", None),
        ];
        for (accept, expected) in cases {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(Form::negotiate(&headers).ok(), expected, "{accept}");
        }
        assert_eq!(Form::negotiate(&HeaderMap::new()).ok(), Some(Form::Object));
    }
}
