//! Answers each request with what another component answers, which it calls by its Service's name: WASI 0.2. Bodies and
//! trailers are passed on, both ways.
//!
//! `BACKEND` says whom: `http://NAME:PORT/PATH`.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingRequest, OutgoingResponse, ResponseOutparam,
    Scheme,
};
use wasip2::io::streams::StreamError;

struct Front;

wasip2::http::proxy::export!(Front);

impl Guest for Front {
    fn handle(request: IncomingRequest, response_out: ResponseOutparam) {
        let (status, text, trailers) = match call(&request) {
            Ok((answer, trailers)) => (200, format!("The backend says: {answer}"), trailers),
            Err(error) => (502, format!("No answer from the backend: {error:?}\n"), None),
        };
        let response = OutgoingResponse::new(Fields::new());
        let _ = response.set_status_code(status);
        let body = response.body().expect("a new response has its body");
        ResponseOutparam::set(response_out, Ok(response));
        // A client that has gone away is not this guest's failure.
        let _ = write(body, text.as_bytes(), trailers);
    }
}

fn call(asked: &IncomingRequest) -> Result<(String, Option<Fields>), ErrorCode> {
    let (question, trailers) = read(asked.consume().map_err(internal)?)?;
    let request = request()?;
    request.set_method(&asked.method()).map_err(internal)?;
    let body = request.body().map_err(internal)?;
    let waiting = handle(request, None)?;
    write(body, &question, trailers)?;
    waiting.subscribe().block();
    let response = waiting.get().and_then(Result::ok).ok_or(ErrorCode::InternalError(None))??;
    let (answer, trailers) = read(response.consume().map_err(internal)?)?;
    Ok((String::from_utf8_lossy(&answer).into_owned(), trailers))
}

fn internal((): ()) -> ErrorCode {
    ErrorCode::InternalError(None)
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

fn read(body: IncomingBody) -> Result<(Vec<u8>, Option<Fields>), ErrorCode> {
    let stream = body.stream().map_err(internal)?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(more) => bytes.extend(more),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => return Err(ErrorCode::HttpResponseIncomplete),
        }
    }
    drop(stream);
    let trailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    Ok((bytes, trailers.get().and_then(Result::ok).ok_or(ErrorCode::InternalError(None))??))
}

fn write(body: OutgoingBody, bytes: &[u8], trailers: Option<Fields>) -> Result<(), ErrorCode> {
    let stream = body.write().map_err(internal)?;
    for piece in bytes.chunks(4096) {
        stream.blocking_write_and_flush(piece).map_err(|_| ErrorCode::ConnectionTerminated)?;
    }
    drop(stream);
    OutgoingBody::finish(body, trailers)
}
