//! Chooses the endpoint for one request, and takes it to another when the first is closing.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use carob_net::{Body, HttpService, Refused};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use tokio::time::{Instant, sleep};

use crate::backends::Behind;
use crate::mesh::{Cost, Frontend};

/// Endpoints that one request is taken to before it pauses.
const TRIES: usize = 16;

/// How long a request is held while every endpoint in the table has already closed. The table lags behind the node by
/// little: what replaces them becomes known in milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

/// Who answers at an endpoint's address.
pub(crate) enum Found {
    Service(Arc<dyn HttpService>),
    /// Nobody in this process: it counts as closed.
    Nobody,
    /// Somebody whom this client may not ask.
    Denied,
}

impl Found {
    pub(crate) fn service(self) -> Option<Arc<dyn HttpService>> {
        match self {
            Found::Service(service) => Some(service),
            Found::Nobody | Found::Denied => None,
        }
    }
}

/// Finds who answers at endpoints, and hears how they did.
pub(crate) trait Endpoints: Send + Sync {
    fn find(&self, endpoint: SocketAddr) -> Found;

    /// The cost of asking the service at this endpoint, beside others.
    fn cost(&self, endpoint: SocketAddr, service: &dyn HttpService) -> Cost;

    /// The endpoint has begun to answer after so long.
    fn answered(&self, endpoint: SocketAddr, latency: Duration);
}

/// Answers a request of `client` by an endpoint of `frontend`, or says why none of them does.
pub(crate) async fn forward(
    endpoints: &impl Endpoints,
    frontend: &Frontend,
    client: IpAddr,
    request: Request<Body>,
) -> Response<Body> {
    let kept = frontend.kept(client).and_then(|address| Some((address, endpoints.find(address).service()?)));
    let turned_away = match kept.or_else(|| choose(endpoints, frontend)) {
        Some((address, service)) => {
            frontend.keep(client, address);
            match timed(endpoints, address, &*service, request).await {
                Outcome::Answered(response) => return response,
                Outcome::TurnedAway(_, request) => request,
            }
        }
        None => request,
    };
    insist(endpoints, frontend, turned_away).await
}

/// Answers `request` by one service, or says why it does not.
pub(crate) async fn ask(service: Arc<dyn HttpService>, request: Request<Body>) -> Response<Body> {
    match call(&*service, request).await {
        Outcome::Answered(response) => response,
        Outcome::TurnedAway(Away::Overloaded, _) => busy("the endpoint has too many requests waiting\n".into()),
        Outcome::TurnedAway(Away::Closed | Away::Denied, _) => unavailable("the endpoint is shutting down\n".into()),
    }
}

/// Power of two choices: the better of two endpoints drawn at random, by how much waits there and how soon it answers.
fn choose(endpoints: &impl Endpoints, frontend: &Frontend) -> Option<(SocketAddr, Arc<dyn HttpService>)> {
    let (first, other) = frontend.draw_two()?;
    let found = |address| Some((address, endpoints.find(address).service()?));
    let cost = |(address, service): &(SocketAddr, Arc<dyn HttpService>)| endpoints.cost(*address, &**service);
    match (found(first), other.and_then(found)) {
        (Some(first), Some(other)) if cost(&other) < cost(&first) => Some(other),
        (first, other) => first.or(other),
    }
}

/// Why an endpoint did not take a request; the later says more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Away {
    /// The client may not ask it.
    Denied,
    Closed,
    Overloaded,
}

enum Outcome {
    Answered(Response<Body>),
    TurnedAway(Away, Request<Body>),
}

/// Asks, and tells how soon the answer began.
async fn timed(
    endpoints: &impl Endpoints,
    address: SocketAddr,
    service: &dyn HttpService,
    request: Request<Body>,
) -> Outcome {
    let begun = Instant::now();
    let outcome = call(service, request).await;
    if matches!(outcome, Outcome::Answered(_)) {
        endpoints.answered(address, begun.elapsed());
    }
    outcome
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
async fn insist(endpoints: &impl Endpoints, frontend: &Frontend, mut request: Request<Body>) -> Response<Body> {
    let give_up = Instant::now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    loop {
        if frontend.is_empty() {
            return none_ready(frontend);
        }
        match try_several(endpoints, frontend, request).await {
            Outcome::Answered(response) => return response,
            Outcome::TurnedAway(Away::Overloaded, _) => return all_busy(frontend.behind()),
            Outcome::TurnedAway(Away::Denied, _) => return denied(frontend.behind()),
            Outcome::TurnedAway(Away::Closed, _) if Instant::now() >= give_up => {
                return none_answers(frontend.behind());
            }
            Outcome::TurnedAway(Away::Closed, untouched) => request = untouched,
        }
        sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// Why none of them answers: one that is overloaded says more than one that is closed, and that more than a denial.
async fn try_several(endpoints: &impl Endpoints, frontend: &Frontend, mut request: Request<Body>) -> Outcome {
    let mut why = None;
    for address in frontend.draw(TRIES) {
        let away = match endpoints.find(address) {
            Found::Service(service) => match timed(endpoints, address, &*service, request).await {
                Outcome::Answered(response) => return Outcome::Answered(response),
                Outcome::TurnedAway(away, untouched) => {
                    request = untouched;
                    away
                }
            },
            Found::Nobody => Away::Closed,
            Found::Denied => Away::Denied,
        };
        why = why.max(Some(away));
    }
    Outcome::TurnedAway(why.unwrap_or(Away::Closed), request)
}

fn none_ready(frontend: &Frontend) -> Response<Body> {
    let here = if frontend.is_local() { " on this node, where its traffic policy keeps the flow" } else { "" };
    unavailable(format!("{} has no ready endpoint{here}\n", frontend.behind()))
}

fn none_answers(behind: &Behind) -> Response<Body> {
    tracing::warn!(service = %behind, "ready endpoints, but none of them serves HTTP in this process");
    unavailable(format!("no ready endpoint of {behind} serves HTTP on this node\n"))
}

/// The endpoint's own node does not let the client in.
pub(crate) fn denied_there(why: &str) -> Response<Body> {
    say(StatusCode::FORBIDDEN, format!("access denied by policy: {why}\n"))
}

fn denied(behind: &Behind) -> Response<Body> {
    say(StatusCode::FORBIDDEN, format!("no endpoint of {behind} may be asked from here: access denied by policy\n"))
}

fn all_busy(behind: &Behind) -> Response<Body> {
    busy(format!("every endpoint of {behind} has too many requests waiting\n"))
}

fn busy(text: String) -> Response<Body> {
    let mut response = unavailable(text);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn unavailable(text: String) -> Response<Body> {
    say(StatusCode::SERVICE_UNAVAILABLE, text)
}

/// An answer of our own.
pub(crate) fn say(status: StatusCode, text: String) -> Response<Body> {
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests;
