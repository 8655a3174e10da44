//! What the server counts, for Prometheus.

use std::time::Duration;

use axum::response::Response;
use carob_resources::Resource;
use http::StatusCode;
use parking_lot::Mutex;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::{ApiServer, health::plain, status::Status};

/// The server's own counts.
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<Request, Counter>,
    durations: Family<Kind, Histogram, fn() -> Histogram>,
    watchers: Family<Watched, Gauge>,
    objects: Family<Stored, Gauge>,
    in_flight: Family<InFlight, Gauge>,
    revision: Gauge,
    applied: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    subresource: &'static str,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Kind {
    pub(crate) verb: &'static str,
    pub(crate) group: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) subresource: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Watched {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stored {
    resource: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InFlight {
    request_kind: &'static str,
}

/// Counts a watch as long as it lives.
pub(crate) struct Watching(Gauge);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn histogram() -> Histogram {
    Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0])
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let requests = Family::default();
        let durations = Family::new_with_constructor(histogram as fn() -> Histogram);
        let (watchers, objects) = (Family::default(), Family::default());
        let (revision, applied) = (Gauge::default(), Gauge::default());
        let in_flight = Family::default();
        registry.register(
            "apiserver_current_inflight_requests",
            "Requests that are worked on, of those that are limited",
            in_flight.clone(),
        );
        registry.register("apiserver_request", "Requests by what they asked for and how they ended", requests.clone());
        registry.register(
            "apiserver_request_duration_seconds",
            "How long requests took; watches are not counted here",
            durations.clone(),
        );
        registry.register("apiserver_registered_watchers", "Watches that are open", watchers.clone());
        registry.register("apiserver_storage_objects", "Objects there are", objects.clone());
        registry.register("carob_store_revision", "The newest revision of the store", revision.clone());
        registry.register("carob_apiserver_applied_revision", "The newest revision that readers see", applied.clone());
        Self { registry: Mutex::new(registry), requests, durations, watchers, objects, in_flight, revision, applied }
    }

    pub(crate) fn answered(&self, kind: Kind, code: u16, took: Duration) {
        if kind.verb != "watch" {
            self.durations.get_or_create(&kind).observe(took.as_secs_f64());
        }
        let Kind { verb, group, resource, subresource } = kind;
        self.requests.get_or_create(&Request { verb, group, resource, subresource, code }).inc();
    }

    pub(crate) fn watching(&self, resource: &'static Resource) -> Watching {
        let labels = Watched { group: resource.group, version: resource.version, kind: resource.kind };
        let gauge = self.watchers.get_or_create_owned(&labels);
        gauge.inc();
        Watching(gauge)
    }
}

/// Answers `/metrics`.
pub(crate) fn answer(api: &ApiServer) -> Result<Response, Status> {
    let metrics = api.metrics();
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    metrics.revision.set(whole(api.store().revision().0));
    metrics.applied.set(whole(api.applied().now()));
    for served in api.registry().iter().filter(|served| served.resource.strategy.review().is_none()) {
        let labels = Stored { resource: crate::status::qualified(served.resource) };
        metrics.objects.get_or_create(&labels).set(whole(served.cache.len() as u64));
    }
    let (reading, mutating) = api.in_flight().now();
    for (request_kind, count) in [("readOnly", reading), ("mutating", mutating)] {
        metrics.in_flight.get_or_create(&InFlight { request_kind }).set(whole(count as u64));
    }
    let mut text = String::new();
    encode(&mut text, &metrics.registry.lock()).map_err(Status::internal)?;
    Ok(plain(StatusCode::OK, text))
}
