//! `/openapi/v2` and `/openapi/v3`.

use axum::{body::Body, response::Response};
use carob_resources::{Resource, Scope};
use carob_schema::openapi::{self, OpenApi};
use http::{HeaderValue, header};

use crate::{
    ApiServer,
    discovery::VERSION,
    registry::subresource_name,
    request::{Document, Query},
    status::Status,
};

/// Answers with a document. They are written anew each time: clients keep them by their hash, and the server need not.
pub(crate) fn answer(api: &ApiServer, document: &Document, query: &Query) -> Result<Response, Status> {
    let resources: Vec<&'static Resource> = api.registry().iter().map(|served| served.resource).collect();
    let subresources: Vec<Vec<&str>> =
        resources.iter().map(|resource| resource.subresources.iter().map(subresource_name).collect()).collect();
    let served: Vec<openapi::Resource<'_>> =
        resources.iter().zip(&subresources).map(|(resource, names)| described(resource, names)).collect();
    let documents = OpenApi { resources: &served, version: VERSION };
    match document {
        Document::V2 => Ok(json(documents.v2())),
        Document::Index => Ok(json(documents.v3_index())),
        Document::V3(name) => {
            let content = documents.v3(name).ok_or_else(Status::no_such_path)?;
            Ok(kept(json(content), &documents.hash(name), query))
        }
    }
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
