//! `/healthz`, `/livez` and `/readyz`.

use std::time::Duration;

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header};
use tokio::time::timeout;

use crate::{ApiServer, request::Query, status::Status};

const PATIENCE: Duration = Duration::from_secs(2);

/// One thing that must be well.
struct Check {
    name: &'static str,
    problem: Option<String>,
}

/// Answers `/livez`, `/readyz?verbose`, `/livez/ping` and so on.
pub(crate) async fn answer(api: &ApiServer, path: &str, query: &Query) -> Result<Response, Status> {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let probe = segments.next().unwrap_or_default();
    let mut checks = checks(api, probe).await;
    if let Some(single) = segments.next() {
        checks.retain(|check| check.name == single);
        if checks.is_empty() || segments.next().is_some() {
            return Err(Status::no_such_path());
        }
    }
    if let Some(excluded) = query.get("exclude") {
        checks.retain(|check| check.name != excluded);
    }
    let well = checks.iter().all(|check| check.problem.is_none());
    let text = if well && !query.flag("verbose") { "ok".to_owned() } else { told(probe, &checks, well) };
    Ok(plain(if well { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR }, text))
}

/// The store must answer; a server that is ready has also seen all that is in it.
async fn checks(api: &ApiServer, probe: &str) -> Vec<Check> {
    let store = match timeout(PATIENCE, api.store().get(b"/health")).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("the store does not answer".to_owned()),
    };
    let mut checks = vec![Check { name: "ping", problem: None }, Check { name: "etcd", problem: store }];
    if probe == "readyz" {
        let reached = timeout(PATIENCE, api.applied().reach(api.store().revision().0)).await;
        let problem = reached.err().map(|_| "the cache does not keep up with the store".to_owned());
        checks.push(Check { name: "informer-sync", problem });
        let ending = api.ending().is_cancelled().then(|| "process is shutting down".to_owned());
        checks.push(Check { name: "shutdown", problem: ending });
    }
    checks
}

fn told(probe: &str, checks: &[Check], well: bool) -> String {
    let mut text = String::new();
    for Check { name, problem } in checks {
        text.push_str(&match problem {
            None => format!("[+]{name} ok\n"),
            Some(why) => format!("[-]{name} failed: {why}\n"),
        });
    }
    text + probe + if well { " check passed\n" } else { " check failed\n" }
}

pub(crate) fn plain(code: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = code;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}
