//! How many requests are worked on at once: `--max-requests-inflight` and `--max-mutating-requests-inflight` of
//! kube-apiserver.

use std::sync::Arc;

use axum::{body::Body, response::Response};
use http::Method;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    Identity, Limits,
    request::{Query, Target},
    status::Status,
};

/// Members are never turned away: whoever is to mend an overloaded server must get in.
const PRIVILEGED: &str = "system:masters";
const LONG_RUNNING: &[&str] = &["attach", "exec", "log", "portforward", "proxy"];

/// The places for requests that end soon. Watches and what else goes on for long are not counted: each is a connection's
/// stream, and those are limited.
pub(crate) struct InFlight {
    reading: Arc<Semaphore>,
    mutating: Arc<Semaphore>,
    limits: Limits,
}

/// A place, or the right to go without one.
pub(crate) type Place = Option<OwnedSemaphorePermit>;

impl InFlight {
    pub(crate) fn new(limits: Limits) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self { reading: places(limits.reading), mutating: places(limits.mutating), limits }
    }

    /// Takes a place for a request from the network.
    pub(super) fn enter(
        &self,
        identity: &Identity,
        target: &Target,
        query: &Query,
        method: &Method,
    ) -> Result<Place, Status> {
        if identity.groups.iter().any(|group| group == PRIVILEGED) || is_long_running(target, query, method) {
            return Ok(None);
        }
        let places = if is_reading(method) { &self.reading } else { &self.mutating };
        places.clone().try_acquire_owned().map(Some).map_err(|_| Status::overloaded())
    }

    /// How many requests there are now: reading, and mutating.
    pub(crate) fn now(&self) -> (usize, usize) {
        let taken = |most: usize, places: &Semaphore| most.saturating_sub(places.available_permits());
        (taken(self.limits.reading, &self.reading), taken(self.limits.mutating, &self.mutating))
    }
}

/// Keeps the place until the answer is sent, or given up.
pub(super) fn hold(response: Response, place: Place) -> Response {
    let Some(permit) = place else { return response };
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _held = &permit;
            frame
        }))
    })
}

fn is_reading(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn is_long_running(target: &Target, query: &Query, method: &Method) -> bool {
    let Target::Resource(address) = target else { return false };
    LONG_RUNNING.contains(&address.subresource.as_str()) || address.verb(method, query) == Some("watch")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(limits: &InFlight, group: &str, method: Method, uri: &str) -> Result<Place, u16> {
        let uri: http::Uri = uri.parse().unwrap();
        let identity = Identity::user("someone").group(group);
        let (target, query) = (Target::parse(uri.path()), Query::parse(&uri).unwrap());
        limits.enter(&identity, &target, &query, &method).map_err(|status| status.code())
    }

    #[test]
    fn what_ends_soon_is_counted_and_turned_away_past_the_limit() {
        let in_flight = InFlight::new(Limits { reading: 1, mutating: 1, ..Limits::default() });
        let pods = "/api/v1/namespaces/a/pods";
        let first = enter(&in_flight, "people", Method::GET, pods).unwrap();
        assert!(first.is_some());
        assert_eq!(in_flight.now(), (1, 0));
        assert_eq!(enter(&in_flight, "people", Method::GET, pods).err(), Some(429));
        let writing = enter(&in_flight, "people", Method::POST, pods).unwrap();
        assert!(writing.is_some(), "writes have places of their own");
        for uncounted in [format!("{pods}?watch=1"), format!("{pods}/a/log"), format!("{pods}/a/exec")] {
            assert!(enter(&in_flight, "people", Method::GET, &uncounted).unwrap().is_none(), "{uncounted}");
        }
        assert!(enter(&in_flight, PRIVILEGED, Method::GET, pods).unwrap().is_none());
        drop(first);
        assert!(enter(&in_flight, "people", Method::GET, "/version").unwrap().is_some());
    }

    #[test]
    fn a_place_is_held_until_the_answer_is_gone() {
        let in_flight = InFlight::new(Limits { reading: 1, ..Limits::default() });
        let place = enter(&in_flight, "people", Method::GET, "/api").unwrap();
        let answer = hold(Response::new(Body::from("answer")), place);
        assert_eq!(in_flight.now().0, 1);
        drop(answer);
        assert_eq!(in_flight.now().0, 0);
    }
}
