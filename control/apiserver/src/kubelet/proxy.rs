//! `/proxy` of a Node: what its kubelet says to those who may ask it.

use axum::response::Response;
use http::Request;
use http_body_util::Empty;

use super::{ask, escape, log::streamed};
use crate::{status::Status, verbs::Call};

/// Asks the kubelet for what follows in the path, and gives its answer as it comes.
pub(crate) async fn proxy(call: &Call) -> Result<Response, Status> {
    call.existing()?;
    let path: Vec<String> = call.address.rest.split('/').map(escape).collect();
    let query: Vec<String> =
        call.query.pairs().map(|(key, value)| format!("{}={}", escape(key), escape(value))).collect();
    let path = format!("/{}?{}", path.join("/").trim_start_matches('/'), query.join("&"));
    let request = Request::get(path).body(Empty::new()).map_err(Status::internal)?;
    let answer = ask(call, &call.address.name, request).await?;
    if answer.response.status().is_success() { Ok(streamed(answer)) } else { Err(answer.failure().await) }
}
