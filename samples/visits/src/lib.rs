//! Counts its visitors in a bucket that all its replicas share, greets them as it is configured, and logs each of them.
//!
//! `GET /` counts one more and answers how many there were; `GET /peek` only answers.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

use bindings::wasi::config::store as config;
use bindings::wasi::keyvalue::{atomics, store};
use bindings::wasi::logging::logging::{Level, log};

mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "visits", generate_all });
}

struct Visits;

wasip2::http::proxy::export!(Visits);

const KEY: &str = "visits";

impl Guest for Visits {
    fn handle(request: IncomingRequest, response_out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let (status, text) = match visit(&path) {
            Ok(visits) => (200, format!("{}{visits}\n", greeting())),
            Err(error) => {
                log(Level::Error, KEY, &format!("not counted:\n{error:?}"));
                (500, format!("{error:?}\n"))
            }
        };
        respond(response_out, status, &text);
    }
}

fn visit(path: &str) -> Result<u64, store::Error> {
    let bucket = store::open("counts")?;
    if path == "/peek" {
        let text = bucket.get(KEY)?.unwrap_or_default();
        return Ok(String::from_utf8_lossy(&text).parse().unwrap_or(0));
    }
    let visits = atomics::increment(&bucket, KEY, 1)?;
    log(Level::Info, KEY, &format!("visitor {visits}\nwas counted"));
    Ok(visits)
}

/// From a ConfigMap, or from the environment, which counts more.
fn greeting() -> String {
    config::get("GREETING").ok().flatten().unwrap_or_default()
}

fn respond(response_out: ResponseOutparam, status: u16, text: &str) {
    let response = OutgoingResponse::new(Fields::new());
    response.set_status_code(status).expect("it is a valid status");
    let body = response.body().expect("a new response has its body");
    ResponseOutparam::set(response_out, Ok(response));
    let out = body.write().expect("a new body has its stream");
    // A client that has gone away is not this guest's failure.
    let _ = out.blocking_write_and_flush(text.as_bytes());
    drop(out);
    let _ = OutgoingBody::finish(body, None);
}
