//! Chooses the endpoint for one request, and takes it to another when the first is closing.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use carob_net::{Body, HttpService, Refused};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use tokio::time::{Instant, sleep};

use crate::backends::Backends;
use crate::mesh::Frontend;

/// Endpoints that one request is taken to before it pauses.
const TRIES: usize = 16;

/// How long a request is held while every endpoint in the table has already closed. The table lags behind the node by
/// little: what replaces them becomes known in milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

/// Finds the service that answers at an endpoint's address; one that nobody in this process answers for counts as closed.
pub(crate) trait Find: Fn(SocketAddr) -> Option<Arc<dyn HttpService>> + Send + Sync {}

impl<F: Fn(SocketAddr) -> Option<Arc<dyn HttpService>> + Send + Sync> Find for F {}

/// Answers a request of `client` by an endpoint of `frontend`, or says why none of them does.
pub(crate) async fn forward(
    find: &impl Find,
    frontend: &Frontend,
    client: IpAddr,
    request: Request<Body>,
) -> Response<Body> {
    let backends = &*frontend.backends;
    let kept = frontend.kept(client).and_then(|address| Some((address, find(address)?)));
    let turned_away = match kept.or_else(|| choose(find, backends)) {
        Some((address, service)) => {
            frontend.keep(client, address);
            match call(&*service, request).await {
                Outcome::Answered(response) => return response,
                Outcome::TurnedAway(_, request) => request,
            }
        }
        None => request,
    };
    insist(find, backends, turned_away).await
}

/// Answers `request` by one service, or says why it does not.
pub(crate) async fn ask(service: Arc<dyn HttpService>, request: Request<Body>) -> Response<Body> {
    match call(&*service, request).await {
        Outcome::Answered(response) => response,
        Outcome::TurnedAway(Away::Overloaded, _) => busy("the endpoint has too many requests waiting\n".into()),
        Outcome::TurnedAway(Away::Closed, _) => unavailable("the endpoint is shutting down\n".into()),
    }
}

/// Power of two choices: the less loaded of two endpoints drawn at random.
fn choose(find: &impl Find, backends: &Backends) -> Option<(SocketAddr, Arc<dyn HttpService>)> {
    let (first, other) = backends.draw_two()?;
    let found = |address| Some((address, find(address)?));
    match (found(first), other.and_then(found)) {
        (Some(first), Some(other)) if other.1.load() < first.1.load() => Some(other),
        (first, other) => first.or(other),
    }
}

/// Why an endpoint did not take a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Away {
    Closed,
    Overloaded,
}

enum Outcome {
    Answered(Response<Body>),
    TurnedAway(Away, Request<Body>),
}

/// A request that was started is never started again elsewhere: it may have had an effect.
async fn call(service: &dyn HttpService, request: Request<Body>) -> Outcome {
    match service.call(request).await {
        Ok(response) => Outcome::Answered(response),
        Err((Refused::Closed, Some(request))) => Outcome::TurnedAway(Away::Closed, request),
        Err((Refused::Overloaded, Some(request))) => Outcome::TurnedAway(Away::Overloaded, request),
        Err((reason, _)) => {
            tracing::debug!(%reason, "a request was lost at its endpoint");
            Outcome::Answered(say(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the endpoint failed to answer the request\n".into(),
            ))
        }
    }
}

/// Takes a request round until somebody answers it, or nobody can be expected to.
async fn insist(find: &impl Find, backends: &Backends, mut request: Request<Body>) -> Response<Body> {
    let give_up = Instant::now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    loop {
        if backends.is_empty() {
            return none_ready(backends);
        }
        match try_several(find, backends, request).await {
            Outcome::Answered(response) => return response,
            Outcome::TurnedAway(Away::Overloaded, _) => return all_busy(backends),
            Outcome::TurnedAway(Away::Closed, _) if Instant::now() >= give_up => return none_answers(backends),
            Outcome::TurnedAway(Away::Closed, untouched) => request = untouched,
        }
        sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

async fn try_several(find: &impl Find, backends: &Backends, mut request: Request<Body>) -> Outcome {
    let mut why = Away::Closed;
    for service in backends.draw(TRIES).into_iter().filter_map(find) {
        match call(&*service, request).await {
            Outcome::Answered(response) => return Outcome::Answered(response),
            Outcome::TurnedAway(away, untouched) => {
                request = untouched;
                if away == Away::Overloaded {
                    why = away;
                }
            }
        }
    }
    Outcome::TurnedAway(why, request)
}

fn none_ready(backends: &Backends) -> Response<Body> {
    unavailable(format!("{} has no ready endpoint\n", backends.port()))
}

fn none_answers(backends: &Backends) -> Response<Body> {
    tracing::warn!(service = %backends.port(), "ready endpoints, but none of them serves HTTP in this process");
    unavailable(format!("no ready endpoint of {} serves HTTP on this node\n", backends.port()))
}

fn all_busy(backends: &Backends) -> Response<Body> {
    busy(format!("every endpoint of {} has too many requests waiting\n", backends.port()))
}

fn busy(text: String) -> Response<Body> {
    let mut response = unavailable(text);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn unavailable(text: String) -> Response<Body> {
    say(StatusCode::SERVICE_UNAVAILABLE, text)
}

fn say(status: StatusCode, text: String) -> Response<Body> {
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests;
