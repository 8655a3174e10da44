//! An HTTP component that imports an interface which another container of its Pod exports.
//!
//! `GET /quote/apple` asks for one price, `GET /basket/apple,pear` fills a basket, which lives in the other container, and
//! `GET /given` asks how many quotes were given.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

use bindings::shop::prices::quotes::{self, Basket};

mod bindings {
    wit_bindgen::generate!({ path: "../wit/prices", world: "shop" });
}

struct Shop;

wasip2::http::proxy::export!(Shop);

impl Guest for Shop {
    fn handle(request: IncomingRequest, response_out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let (status, text) = match answer(&path) {
            Ok(text) => (200, text),
            Err(text) => (404, text),
        };
        respond(response_out, status, &format!("{text}\n"));
    }
}

fn answer(path: &str) -> Result<String, String> {
    if let Some(item) = path.strip_prefix("/quote/") {
        return quotes::quote(item).map(|cents| format!("{item}: {cents}{}", currency()));
    }
    if let Some(items) = path.strip_prefix("/basket/") {
        let basket = Basket::new();
        items.split(',').try_for_each(|item| basket.add(item))?;
        return Ok(basket.total());
    }
    match path {
        "/given" => Ok(quotes::given().to_string()),
        _ => Err("ask for /quote/ITEM, /basket/ITEM,ITEM or /given".to_owned()),
    }
}

/// Set for the other container only: each has its own environment.
fn currency() -> String {
    std::env::var("CURRENCY").map(|currency| format!(" {currency}")).unwrap_or_default()
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
