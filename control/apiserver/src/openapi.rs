//! `/openapi/v2` and `/openapi/v3`.

use axum::{body::Body, response::Response};
use carob_resources::{Resource, Scope};
use carob_schema::openapi::{self, OpenApi};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::{
    ApiServer,
    discovery::VERSION,
    registry::subresource_name,
    request::{Document, Query},
    status::Status,
};

/// Answers with a document. They are written anew each time: clients keep them by their hash, and the server need not.
pub(crate) fn answer(
    api: &ApiServer,
    document: &Document,
    query: &Query,
    headers: &HeaderMap,
) -> Result<Response, Status> {
    let resources: Vec<&'static Resource> = api.registry().iter().map(|served| served.resource).collect();
    let subresources: Vec<Vec<&str>> =
        resources.iter().map(|resource| resource.subresources.iter().map(subresource_name).collect()).collect();
    let served: Vec<openapi::Resource<'_>> =
        resources.iter().zip(&subresources).map(|(resource, names)| described(resource, names)).collect();
    let documents = OpenApi { resources: &served, version: VERSION };
    let media = if *document == Document::V2 { Media::wanted(headers) } else { Media::Json };
    let hash = match document {
        Document::V2 | Document::Index => documents.hash_of_all(),
        Document::V3(name) => documents.hash(name),
    };
    let tag = media.tag(&hash);
    if is_known(headers, &tag) {
        return Ok(kept(not_modified(), &hash, &tag, query));
    }
    let content = match (document, media) {
        (Document::V2, Media::Protobuf) => documents.v2_protobuf(),
        (Document::V2, Media::Json) => documents.v2(),
        (Document::Index, _) => documents.v3_index(),
        (Document::V3(name), _) => documents.v3(name).ok_or_else(Status::no_such_path)?,
    };
    Ok(kept(media.response(content), &hash, &tag, query))
}

/// The form of a document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Media {
    Json,
    Protobuf,
}

/// What clients ask for, and the same in words that a media type may be made of.
const PROTOBUF: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
];

impl Media {
    /// The first that the client names of those that there are; JSON if it names none.
    fn wanted(headers: &HeaderMap) -> Media {
        let said = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges = said.flat_map(|ranges| ranges.split(',')).filter_map(|range| range.split(';').next());
        let known = ranges.map(|range| range.trim().to_ascii_lowercase()).find_map(|range| match range.as_str() {
            range if PROTOBUF.contains(&range) => Some(Media::Protobuf),
            "application/json" | "application/*" | "*/*" => Some(Media::Json),
            _ => None,
        });
        known.unwrap_or(Media::Json)
    }

    /// The same document has another tag in each form.
    fn tag(self, hash: &str) -> String {
        match self {
            Media::Json => hash.to_owned(),
            Media::Protobuf => format!("{hash}-protobuf"),
        }
    }

    fn response(self, content: Vec<u8>) -> Response {
        let media = match self {
            Media::Json => "application/json",
            Media::Protobuf => PROTOBUF[1],
        };
        let mut response = Response::new(Body::from(content));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        response
    }
}

/// Whether the client says that it has just this document (`If-None-Match`).
fn is_known(headers: &HeaderMap, own: &str) -> bool {
    let said = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    said.flat_map(|tags| tags.split(',')).any(|tag| tag.trim().trim_start_matches("W/").trim_matches('"') == own)
}

fn not_modified() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response
}

fn described<'a>(resource: &'static Resource, subresources: &'a [&'a str]) -> openapi::Resource<'a> {
    openapi::Resource {
        group: resource.group,
        version: resource.version,
        kind: resource.kind,
        plural: resource.plural,
        namespaced: resource.scope == Scope::Namespaced,
        asked: resource.strategy.review().is_some(),
        subresources,
    }
}

/// A document that was asked for by its present hash never changes.
fn kept(mut response: Response, hash: &str, tag: &str, query: &Query) -> Response {
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{tag}\"")) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    if query.get("hash") == Some(hash) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, immutable, max-age=31536000"));
    }
    response
}
