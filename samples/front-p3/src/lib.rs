//! Answers each request with what another component answers, which it calls by its Service's name: WASI 0.3. Bodies and
//! trailers are passed on, both ways.
//!
//! `BACKEND` says whom: `http://NAME:PORT/PATH`.

use wasip3::exports::http::handler::Guest;
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Request, Response, Scheme};
use wasip3::{wit_bindgen, wit_future, wit_stream};

struct Front;

wasip3::http::service::export!(Front);

impl Guest for Front {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let (status, text, found) = match call(request).await {
            Ok((answer, trailers)) => (200, format!("The backend says: {answer}"), trailers),
            Err(error) => (502, format!("No answer from the backend: {error:?}\n"), None),
        };
        let (mut body, contents) = wit_stream::new();
        let (told, trailers) = wit_future::new(|| Ok(None));
        let (response, _sent) = Response::new(Fields::new(), Some(contents), trailers);
        let _ = response.set_status_code(status);
        // The body is read only after the response has been returned, so it is written by a task of its own.
        wit_bindgen::spawn_local(async move {
            body.write_all(text.into_bytes()).await;
            drop(body);
            // A client that has gone away is not this guest's failure.
            let _ = told.write(Ok(found)).await;
        });
        Ok(response)
    }
}

async fn call(asked: Request) -> Result<(String, Option<Fields>), ErrorCode> {
    let response = client::send(request(asked)?).await?;
    let (_read, result) = wit_future::new(|| Ok(()));
    let (body, trailers) = Response::consume_body(response, result);
    let bytes = body.collect().await;
    Ok((String::from_utf8_lossy(&bytes).into_owned(), trailers.await?))
}

/// The same request to the backend; its body never passes through this component's memory.
fn request(asked: Request) -> Result<Request, ErrorCode> {
    let backend = std::env::var("BACKEND").unwrap_or_default();
    let bad = || ErrorCode::HttpRequestUriInvalid;
    let (scheme, rest) = backend.split_once("://").ok_or_else(bad)?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let method = asked.get_method();
    let (_read, result) = wit_future::new(|| Ok(()));
    let (body, trailers) = Request::consume_body(asked, result);
    let (request, _sent) = Request::new(Fields::new(), Some(body), trailers, None);
    request.set_method(&method).map_err(|()| bad())?;
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    request.set_scheme(Some(&scheme)).map_err(|()| bad())?;
    request.set_authority(Some(authority)).map_err(|()| bad())?;
    request.set_path_with_query(Some(&format!("/{path}"))).map_err(|()| bad())?;
    Ok(request)
}
