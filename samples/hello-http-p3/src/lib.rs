//! The smallest HTTP guest of WASI 0.3: handlers are async, and one instance serves many requests at once.

use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{wit_bindgen, wit_future, wit_stream};

struct Hello;

wasip3::http::service::export!(Hello);

impl Guest for Hello {
    async fn handle(_request: Request) -> Result<Response, ErrorCode> {
        let (mut body, contents) = wit_stream::new();
        let (_no_trailers, trailers) = wit_future::new(|| Ok(None));
        let (response, _sent) = Response::new(Fields::new(), Some(contents), trailers);

        // The body is read only after the response has been returned, so it is written by a task of its own.
        wit_bindgen::spawn_local(async move {
            body.write_all(greeting().into_bytes()).await;
        });
        Ok(response)
    }
}

/// `POD_NAME` comes from the manifest, through the downward API.
fn greeting() -> String {
    match std::env::var("POD_NAME") {
        Ok(pod) => format!("Hello, world! This is {pod}.\n"),
        Err(_) => "Hello, world!\n".to_owned(),
    }
}
