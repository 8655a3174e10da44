//! A web component that serves files: those of its image, below `/site`, and at `/cached` the page of its sidecar
//! `page-cache`, which it asks for it on the Pod's loopback (`CACHE`) and then reads from the folder that both share.

use std::fs;
use std::io::{self, Read};
use std::net::TcpStream;

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

struct CachedPage;

wasip2::http::proxy::export!(CachedPage);

/// Most bytes that a stream takes at once without being asked how many.
const CHUNK: usize = 4096;

impl Guest for CachedPage {
    fn handle(request: IncomingRequest, response_out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let (status, content) = match answer(&path) {
            Ok(content) => (200, content),
            Err((status, error)) => (status, format!("{path}: {error}\n").into_bytes()),
        };
        let response = OutgoingResponse::new(Fields::new());
        let _ = response.set_status_code(status);
        let body = response.body().expect("a new response has its body");
        ResponseOutparam::set(response_out, Ok(response));

        let out = body.write().expect("a new body has its stream");
        for chunk in content.chunks(CHUNK) {
            // A client that has gone away is not this guest's failure.
            let _ = out.blocking_write_and_flush(chunk);
        }
        drop(out);
        let _ = OutgoingBody::finish(body, None);
    }
}

fn answer(path: &str) -> Result<Vec<u8>, (u16, io::Error)> {
    match path {
        "/cached" => cached().map_err(|error| (502, error)),
        "/" => fs::read("/site/index.html").map_err(|error| (404, error)),
        path => fs::read(format!("/site{path}")).map_err(|error| (404, error)),
    }
}

/// The page from the folder, then what the sidecar counted, from the loopback. Asked first: it makes the page if need be.
fn cached() -> io::Result<Vec<u8>> {
    let address = std::env::var("CACHE").unwrap_or_else(|_| "127.0.0.1:7070".to_owned());
    let mut counted = Vec::new();
    TcpStream::connect(address)?.read_to_end(&mut counted)?;
    let mut page = fs::read("/cache/page")?;
    page.extend(counted);
    Ok(page)
}
