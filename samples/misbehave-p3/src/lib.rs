//! The server that does harm, over WASI 0.3: one instance serves many requests, and some of them are its end.
//!
//! `GET /spin`, `/eat-memory`, `/trap`, `/panic`; everything else is answered.

use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{wit_bindgen, wit_future, wit_stream};

const MIB: usize = 1 << 20;

struct Misbehave;

wasip3::http::service::export!(Misbehave);

impl Guest for Misbehave {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        match request.get_path_with_query().as_deref() {
            Some("/spin") => spin(),
            Some("/eat-memory") => eat_memory(),
            Some("/trap") => core::arch::wasm32::unreachable(),
            Some("/panic") => panic!("misbehave-p3 was asked to panic"),
            _ => Ok(fine()),
        }
    }
}

fn fine() -> Response {
    let (mut body, contents) = wit_stream::new();
    let (_no_trailers, trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(Fields::new(), Some(contents), trailers);
    wit_bindgen::spawn_local(async move {
        body.write_all(b"fine\n".to_vec()).await;
    });
    response
}

/// Never gives the processor back.
fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

/// Takes memory and writes to it until there is no more.
fn eat_memory() -> ! {
    let mut eaten = Vec::new();
    loop {
        eaten.push(vec![0xA5_u8; MIB]);
        std::hint::black_box(&eaten);
    }
}
