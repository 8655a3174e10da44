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
    let hash = match document {
        Document::V2 | Document::Index => documents.hash_of_all(),
        Document::V3(name) => documents.hash(name),
    };
    if is_known(headers, &hash) {
        return Ok(kept(not_modified(), &hash, query));
    }
    let content = match document {
        Document::V2 => documents.v2(),
        Document::Index => documents.v3_index(),
        Document::V3(name) => documents.v3(name).ok_or_else(Status::no_such_path)?,
    };
    Ok(kept(json(content), &hash, query))
}

/// Whether the client says that it has just this document (`If-None-Match`).
fn is_known(headers: &HeaderMap, hash: &str) -> bool {
    let said = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    said.flat_map(|tags| tags.split(',')).any(|tag| tag.trim().trim_start_matches("W/").trim_matches('"') == hash)
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
fn kept(mut response: Response, hash: &str, query: &Query) -> Response {
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{hash}\"")) {
        headers.insert(header::ETAG, tag);
    }
    if query.get("hash") == Some(hash) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, immutable, max-age=31536000"));
    }
    response
}

fn json(content: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(content));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
