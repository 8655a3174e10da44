//! The bodies of requests and answers. Their errors are plain ones: hyper's clients take no others.

use std::io;

use bytes::Bytes;
use carob_net::Body;
use http::{HeaderMap, Request};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};

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

/// The whole body and its trailers; nothing, if it has more than `most` bytes.
pub(super) async fn read(body: Answered, most: usize) -> Result<(Bytes, Option<HeaderMap>), String> {
    match Limited::new(body, most).collect().await {
        Ok(body) => {
            let trailers = body.trailers().cloned();
            Ok((body.to_bytes(), trailers))
        }
        Err(error) if error.is::<LengthLimitError>() => Ok((Bytes::new(), None)),
        Err(error) => Err(error.to_string()),
    }
}
