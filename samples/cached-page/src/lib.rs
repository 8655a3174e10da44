//! A web component that serves files: those of its image, below `/site`, and the newest page of its sidecar, at `/cached`.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

struct CachedPage;

wasip2::http::proxy::export!(CachedPage);

/// Most bytes that a stream takes at once without being asked how many.
const CHUNK: usize = 4096;

impl Guest for CachedPage {
    fn handle(request: IncomingRequest, response_out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let found = std::fs::read(file(&path));
        let response = OutgoingResponse::new(Fields::new());
        if found.is_err() {
            let _ = response.set_status_code(404);
        }
        let body = response.body().expect("a new response has its body");
        ResponseOutparam::set(response_out, Ok(response));

        let content = found.unwrap_or_else(|error| format!("{path}: {error}\n").into_bytes());
        let out = body.write().expect("a new body has its stream");
        for chunk in content.chunks(CHUNK) {
            // A client that has gone away is not this guest's failure.
            let _ = out.blocking_write_and_flush(chunk);
        }
        drop(out);
        let _ = OutgoingBody::finish(body, None);
    }
}

fn file(path: &str) -> String {
    match path {
        "/cached" => "/cache/page".to_owned(),
        "/" => "/site/index.html".to_owned(),
        path => format!("/site{path}"),
    }
}
