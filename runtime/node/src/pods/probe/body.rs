//! The bodies of requests and answers. Their errors are plain ones: hyper's clients take no others.

use std::io;

use bytes::Bytes;
use carob_net::Body;
use http::{HeaderMap, Request};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};

/// What a probe sends.
pub(super) type Sent = Full<Bytes>;
/// What it is answered.
pub(super) type Answered = UnsyncBoxBody<Bytes, io::Error>;

/// A request as a service of this process takes it.
pub(super) fn in_process(request: Request<Sent>) -> Request<Body> {
    request.map(|body| body.map_err(|never| match never {}).boxed_unsync())
}

pub(super) fn answered(body: Body) -> Answered {
    body.map_err(io::Error::other).boxed_unsync()
}

/// What was read of a body.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) bytes: Vec<u8>,
    pub(super) trailers: Option<HeaderMap>,
}

/// The body and its trailers; of a longer one, its first `most` bytes.
pub(super) async fn read(mut body: Answered, most: usize) -> Result<Read, String> {
    let mut read = Read::default();
    while read.bytes.len() < most
        && let Some(frame) = body.frame().await
    {
        match frame.map_err(|error| error.to_string())?.into_data() {
            Ok(data) => read.bytes.extend_from_slice(&data[..data.len().min(most - read.bytes.len())]),
            Err(frame) => read.trailers = frame.into_trailers().ok(),
        }
    }
    Ok(read)
}
