//! The smallest HTTP guest of WASI 0.2: every request is answered with a greeting from the Pod that took it.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

struct Hello;

wasip2::http::proxy::export!(Hello);

impl Guest for Hello {
    fn handle(_request: IncomingRequest, response_out: ResponseOutparam) {
        let response = OutgoingResponse::new(Fields::new());
        let body = response.body().expect("a new response has its body");
        ResponseOutparam::set(response_out, Ok(response));

        let out = body.write().expect("a new body has its stream");
        // A client that has gone away is not this guest's failure.
        let _ = out.blocking_write_and_flush(greeting().as_bytes());
        drop(out);
        let _ = OutgoingBody::finish(body, None);
    }
}

/// `POD_NAME` comes from the manifest, through the downward API.
fn greeting() -> String {
    match std::env::var("POD_NAME") {
        Ok(pod) => format!("Hello, world! This is {pod}.\n"),
        Err(_) => "Hello, world!\n".to_owned(),
    }
}
