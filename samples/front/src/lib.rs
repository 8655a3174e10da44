//! Answers each request with what another component answers, which it calls by its Service's name: WASI 0.2.
//!
//! `BACKEND` says whom: `http://NAME:PORT/PATH`.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingRequest, IncomingResponse, OutgoingBody, OutgoingRequest, OutgoingResponse,
    ResponseOutparam, Scheme,
};
use wasip2::io::streams::StreamError;

struct Front;

wasip2::http::proxy::export!(Front);

impl Guest for Front {
    fn handle(_request: IncomingRequest, response_out: ResponseOutparam) {
        let (status, text) = match call() {
            Ok(answer) => (200, format!("The backend says: {answer}")),
            Err(error) => (502, format!("No answer from the backend: {error:?}\n")),
        };
        let response = OutgoingResponse::new(Fields::new());
        let _ = response.set_status_code(status);
        let body = response.body().expect("a new response has its body");
        ResponseOutparam::set(response_out, Ok(response));
        let out = body.write().expect("a new body has its stream");
        // A client that has gone away is not this guest's failure.
        let _ = out.blocking_write_and_flush(text.as_bytes());
        drop(out);
        let _ = OutgoingBody::finish(body, None);
    }
}

fn call() -> Result<String, ErrorCode> {
    let waiting = handle(request()?, None)?;
    waiting.subscribe().block();
    let response = waiting.get().and_then(Result::ok).ok_or(ErrorCode::InternalError(None))??;
    Ok(String::from_utf8_lossy(&read(&response)?).into_owned())
}

fn request() -> Result<OutgoingRequest, ErrorCode> {
    let backend = std::env::var("BACKEND").unwrap_or_default();
    let bad = || ErrorCode::HttpRequestUriInvalid;
    let (scheme, rest) = backend.split_once("://").ok_or_else(bad)?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let request = OutgoingRequest::new(Fields::new());
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    request.set_scheme(Some(&scheme)).map_err(|()| bad())?;
    request.set_authority(Some(authority)).map_err(|()| bad())?;
    request.set_path_with_query(Some(&format!("/{path}"))).map_err(|()| bad())?;
    Ok(request)
}

fn read(response: &IncomingResponse) -> Result<Vec<u8>, ErrorCode> {
    let body = response.consume().map_err(|()| ErrorCode::InternalError(None))?;
    let stream = body.stream().map_err(|()| ErrorCode::InternalError(None))?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(more) => bytes.extend(more),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(_)) => return Err(ErrorCode::HttpResponseIncomplete),
        }
    }
}
