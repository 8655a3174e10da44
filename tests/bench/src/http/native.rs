//! hyper that answers the greeting by itself.

use anyhow::Result;
use bytes::Bytes;
use http::Response;
use http_body_util::Full;

use super::serve::{Server, serve};

pub(crate) async fn start() -> Result<Server> {
    serve(async |_| Ok(Response::new(Full::new(Bytes::from_static(b"Hello, world!\n"))))).await
}
