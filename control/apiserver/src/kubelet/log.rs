//! `/log` of a Pod: what a container wrote, as it writes it.

use axum::{body::Body, response::Response};
use http::{HeaderValue, Request, header};

use super::{Answer, ask, container, escape, node};
use crate::{status::Status, verbs::Call};

/// The options of a log, as they stand in the query of both sides.
const OPTIONS: &[&str] =
    &["follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes", "stream"];

/// Answers `/log`.
pub(crate) async fn log(call: &Call) -> Result<Response, Status> {
    let pod = call.existing()?.object();
    check_options(call)?;
    let container = container(call, &pod)?;
    let node = node(call, &pod)?;
    let (namespace, name) = (&call.address.namespace, &call.address.name);
    let options: Vec<String> = OPTIONS
        .iter()
        .filter_map(|option| call.query.get(option).map(|value| format!("{option}={}", escape(value))))
        .collect();
    let path = format!("/containerLogs/{namespace}/{name}/{container}?{}", options.join("&"));
    let request = Request::get(path).body(Body::empty()).map_err(Status::internal)?;
    let answer = ask(call, &node, request).await?;
    if answer.response.status().is_success() { Ok(plain(answer)) } else { Err(answer.failure().await) }
}

fn check_options(call: &Call) -> Result<(), Status> {
    for option in ["sinceSeconds", "tailLines", "limitBytes"] {
        let least = if option == "tailLines" { 0 } else { 1 };
        if call.query.number(option)?.is_some_and(|number| number < least) {
            return Err(Status::new(
                422,
                "Invalid",
                format!("PodLogOptions \"\" is invalid: {option}: must be greater than or equal to {least}"),
            ));
        }
    }
    let time = call.query.get("sinceTime").map(str::parse::<jiff::Timestamp>);
    if let Some(Err(error)) = time {
        return Err(Status::bad_request(format!("sinceTime: {error}")));
    }
    Ok(())
}

/// What it is, is the node's to say.
fn plain(answer: Answer) -> Response {
    let (parts, body) = answer.streamed().into_parts();
    let mut response = Response::new(body);
    *response.status_mut() = parts.status;
    let plain = HeaderValue::from_static("text/plain");
    let kind = parts.headers.get(header::CONTENT_TYPE).cloned().unwrap_or(plain);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
