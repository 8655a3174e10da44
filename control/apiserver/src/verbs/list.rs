//! Many objects.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    vec,
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::StatusCode;
use http_body::{Frame, SizeHint};
use serde_json::{Map, Value, json};

use super::{
    Call,
    body::api_version,
    list_options::ListOptions,
    page::{self, Page},
    respond::{encoded, metadata_only, table_of},
};
use crate::{
    cache::{Entry, Selection},
    request::Form,
    status::{Status, json_response},
};

/// Small objects are sent together in pieces of about this size.
const PIECE: usize = 64 << 10;
/// Large ones are sent on their own, uncopied.
const LARGE: usize = 16 << 10;

pub(super) async fn list(call: &Call) -> Result<Response, Status> {
    let selection = Selection::parse(call.served.resource, &call.address, &call.query)?;
    let options = ListOptions::parse(&call.query)?;
    let page = page::read(call, &selection, &options).await?;
    respond(call, StatusCode::OK, page)
}

/// A part of a list, in the form the client wants.
pub(super) fn respond(call: &Call, code: StatusCode, page: Page) -> Result<Response, Status> {
    let metadata = metadata(&page);
    let resource = call.served.resource;
    match call.form {
        Form::Object => {
            let kind = format!("{}List", resource.kind);
            let version = api_version(resource.group, resource.version);
            let head = format!(
                "{{\"kind\":\"{kind}\",\"apiVersion\":\"{version}\",\"metadata\":{},\"items\":[",
                Value::Object(metadata)
            );
            Ok(encoded(code, Body::new(Pieces::new(head, page.entries))))
        }
        Form::Table => {
            let objects: Vec<Value> = page.entries.iter().map(|entry| entry.object()).collect();
            let mut table = table_of(call, &objects)?;
            table["metadata"] = Value::Object(metadata);
            Ok(json_response(code, &table))
        }
        Form::Metadata => {
            let items: Vec<Value> = page.entries.iter().map(|entry| metadata_only(entry.object())).collect();
            let list = json!({
                "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "items": items,
            });
            Ok(json_response(code, &list))
        }
    }
}

fn metadata(page: &Page) -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert("resourceVersion".to_owned(), json!(page.revision.to_string()));
    if let Some(next) = &page.next {
        metadata.insert("continue".to_owned(), json!(next));
    }
    if let Some(remaining) = page.remaining {
        metadata.insert("remainingItemCount".to_owned(), json!(remaining));
    }
    metadata
}

/// The body of a list: a head, the shared bytes of the objects, and the end. Its length is known beforehand.
struct Pieces {
    head: Option<String>,
    entries: vec::IntoIter<Arc<Entry>>,
    /// A large object that waits for the piece before it.
    large: Option<Bytes>,
    first: bool,
    left: u64,
}

impl Pieces {
    fn new(head: String, entries: Vec<Arc<Entry>>) -> Self {
        let commas = entries.len().saturating_sub(1);
        let objects: usize = entries.iter().map(|entry| entry.bytes.len()).sum();
        let left = (head.len() + objects + commas + END.len()) as u64;
        Self { head: Some(head), entries: entries.into_iter(), large: None, first: true, left }
    }

    fn piece(&mut self) -> Option<Bytes> {
        if let Some(large) = self.large.take() {
            return Some(large);
        }
        if self.left == 0 {
            return None;
        }
        // Room for the last object too, which may go beyond the piece's size: growing would copy the piece.
        let mut piece = Vec::with_capacity((PIECE + LARGE).min(self.left as usize));
        piece.extend_from_slice(self.head.take().unwrap_or_default().as_bytes());
        for entry in self.entries.by_ref() {
            if !std::mem::take(&mut self.first) {
                piece.push(b',');
            }
            if entry.bytes.len() >= LARGE {
                self.large = Some(entry.bytes.clone());
                return Some(piece.into());
            }
            piece.extend_from_slice(&entry.bytes);
            if piece.len() >= PIECE {
                return Some(piece.into());
            }
        }
        piece.extend_from_slice(END);
        Some(piece.into())
    }
}

const END: &[u8] = b"]}\n";

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut piece = self.piece();
        if piece.as_ref().is_some_and(Bytes::is_empty) {
            piece = self.piece();
        }
        self.left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use carob_store::{Event, KeyValue, Revision};
    use http_body_util::BodyExt;

    use super::*;
    use crate::cache::decode;

    fn entry(name: &str, padding: usize) -> Arc<Entry> {
        let pods = carob_resources::all().iter().find(|one| one.plural == "pods").unwrap();
        let object = json!({ "metadata": { "name": name, "annotations": { "a": "x".repeat(padding) } } });
        let value = crate::codec::encode(&object);
        let held = KeyValue { key: Bytes::new(), value, created: Revision(1), modified: Revision(1) };
        let event = Event { revision: Revision(1), key: Bytes::new(), now: Some(held), before: None };
        decode(pods, name, &event.now.unwrap(), Bytes::from).unwrap()
    }

    #[tokio::test]
    async fn pieces_make_one_list_of_the_announced_length() {
        for sizes in [&[][..], &[1], &[1, 2, 3], &[70_000], &[1, 70_000, 70_000, 1], &[40_000, 40_000, 40_000]] {
            let entries: Vec<_> = sizes.iter().enumerate().map(|(i, size)| entry(&i.to_string(), *size)).collect();
            let pieces = Pieces::new("{\"items\":[".to_owned(), entries);
            let announced = pieces.left;
            let bytes = pieces.collect().await.unwrap().to_bytes();
            assert_eq!(bytes.len() as u64, announced, "{sizes:?}");
            let list: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(list["items"].as_array().unwrap().len(), sizes.len());
        }
    }
}
