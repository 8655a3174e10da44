//! Answers each request with what another component answers, which it calls by its Service's name: WASI 0.3.
//!
//! `BACKEND` says whom: `http://NAME:PORT/PATH`.

use wasip3::exports::http::handler::Guest;
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Request, Response, Scheme};
use wasip3::{wit_bindgen, wit_future, wit_stream};

struct Front;

wasip3::http::service::export!(Front);

impl Guest for Front {
    async fn handle(_request: Request) -> Result<Response, ErrorCode> {
        let (status, text) = match call().await {
            Ok(answer) => (200, format!("The backend says: {answer}")),
            Err(error) => (502, format!("No answer from the backend: {error:?}\n")),
        };
        let (mut body, contents) = wit_stream::new();
        let (_no_trailers, trailers) = wit_future::new(|| Ok(None));
        let (response, _sent) = Response::new(Fields::new(), Some(contents), trailers);
        let _ = response.set_status_code(status);
        // The body is read only after the response has been returned, so it is written by a task of its own.
        wit_bindgen::spawn_local(async move {
            body.write_all(text.into_bytes()).await;
        });
        Ok(response)
    }
}

async fn call() -> Result<String, ErrorCode> {
    let response = client::send(request()?).await?;
    let (_read, result) = wit_future::new(|| Ok(()));
    let (body, trailers) = Response::consume_body(response, result);
    let bytes = body.collect().await;
    trailers.await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn request() -> Result<Request, ErrorCode> {
    let backend = std::env::var("BACKEND").unwrap_or_default();
    let bad = || ErrorCode::HttpRequestUriInvalid;
    let (scheme, rest) = backend.split_once("://").ok_or_else(bad)?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (_no_trailers, trailers) = wit_future::new(|| Ok(None));
    let (request, _sent) = Request::new(Fields::new(), None, trailers, None);
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    request.set_scheme(Some(&scheme)).map_err(|()| bad())?;
    request.set_authority(Some(authority)).map_err(|()| bad())?;
    request.set_path_with_query(Some(&format!("/{path}"))).map_err(|()| bad())?;
    Ok(request)
}
