use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use carob_net::{Body, BoxError};
use http::header::{CONTENT_LENGTH, HOST};
use http::uri::{Authority, PathAndQuery};
use http::{Request, Response, Uri};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use wasmtime_wasi_http::{Error, WasiBody};

use super::exchange::Ticket;

/// A request as the guest gets it.
pub(super) fn incoming(request: Request<Body>) -> Request<WasiBody> {
    let (mut parts, body) = request.into_parts();
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    if parts.uri.authority().is_none() && host.is_none() {
        // WASI requires one; HTTP/1.0 does not.
        parts.uri = with_authority(&parts.uri);
    }
    let body = body.map_err(|error| Error::InternalError(Some(error.to_string())));
    Request::from_parts(parts, body.boxed_unsync())
}

fn with_authority(uri: &Uri) -> Uri {
    let mut parts = uri.clone().into_parts();
    parts.scheme = Some(http::uri::Scheme::HTTP);
    parts.authority = Some(Authority::from_static("localhost"));
    parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    Uri::from_parts(parts).unwrap_or_default()
}

/// A response as the caller gets it: the ticket is kept until the body was read to its end.
pub(super) fn outgoing(response: Response<WasiBody>, ticket: Ticket) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let left = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    Response::from_parts(parts, Ticketed { body, ticket, left }.boxed_unsync())
}

/// A body of our own.
pub(super) fn text(text: &'static str) -> Body {
    Full::new(Bytes::from_static(text.as_bytes())).map_err(|never: Infallible| match never {}).boxed_unsync()
}

struct Ticketed {
    body: WasiBody,
    ticket: Ticket,
    /// Bytes to come, where the response said so: a server stops reading when it has them all.
    left: Option<u64>,
}

impl Ticketed {
    fn passed(&mut self, frame: &Frame<Bytes>) {
        if let (Some(left), Some(data)) = (&mut self.left, frame.data_ref()) {
            *left = left.saturating_sub(data.len() as u64);
        }
    }
}

impl http_body::Body for Ticketed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(None) => self.ticket.finish(),
            Poll::Ready(Some(Ok(frame))) => self.passed(frame),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Ticketed {
    fn drop(&mut self) {
        if self.left == Some(0) || self.body.is_end_stream() {
            self.ticket.finish();
        }
    }
}
