//! What the gateway counts, for Prometheus.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::routes::RouteName;

/// Seconds.
const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    namespace: String,
    ingress: String,
    host: String,
    path: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    #[prometheus(flatten)]
    route: RouteLabels,
    code: u16,
}

impl From<&RouteName> for RouteLabels {
    fn from(name: &RouteName) -> RouteLabels {
        let RouteName { ingress, host, path } = name.clone();
        RouteLabels { namespace: ingress.namespace.to_string(), ingress: ingress.name.to_string(), host, path }
    }
}

/// The figures of one route, found once for many requests.
#[derive(Debug)]
pub(crate) struct RouteFigures {
    labels: RouteLabels,
    requests: Family<RequestLabels, Counter>,
    by_code: RwLock<HashMap<u16, Counter>>,
    duration: Histogram,
}

impl Default for RouteFigures {
    /// Of requests that no route is for.
    fn default() -> RouteFigures {
        let nobody = || String::new();
        RouteFigures {
            labels: RouteLabels { namespace: nobody(), ingress: nobody(), host: nobody(), path: nobody() },
            requests: Family::default(),
            by_code: RwLock::default(),
            duration: histogram(),
        }
    }
}

impl RouteFigures {
    /// A request was answered so, to its end.
    pub(crate) fn answered(&self, code: u16, took: Duration) {
        self.duration.observe(took.as_secs_f64());
        if let Some(counter) = self.by_code.read().get(&code) {
            counter.inc();
            return;
        }
        let labels = RequestLabels { route: self.labels.clone(), code };
        let counter = self.requests.get_or_create(&labels).clone();
        counter.inc();
        self.by_code.write().insert(code, counter);
    }
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

/// All figures of a gateway. Cloning shares them.
#[derive(Clone)]
pub struct Figures {
    shared: Arc<Shared>,
}

struct Shared {
    registry: Mutex<Registry>,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    routes: Mutex<HashMap<RouteName, Arc<RouteFigures>>>,
    unrouted: Arc<RouteFigures>,
    connections: Gauge,
    lost_lines: Counter,
}

impl Default for Figures {
    fn default() -> Figures {
        let mut registry = Registry::default();
        let requests = Family::default();
        let durations = Family::new_with_constructor(histogram as fn() -> Histogram);
        let (connections, lost_lines) = (Gauge::default(), Counter::default());
        registry.register(
            "carob_ingress_requests",
            "Requests that were answered, by the route and the code; without a route, those that none is for",
            requests.clone(),
        );
        registry.register(
            "carob_ingress_request_duration_seconds",
            "From a request's head to the end of its answer",
            durations.clone(),
        );
        registry.register("carob_ingress_connections", "Open connections of clients", connections.clone());
        registry.register(
            "carob_ingress_access_log_lost_lines",
            "Lines that were not written because whatever takes them was too slow",
            lost_lines.clone(),
        );
        let routes = Mutex::default();
        let unrouted = RouteFigures { requests: requests.clone(), ..RouteFigures::default() };
        let unrouted =
            Arc::new(RouteFigures { duration: durations.get_or_create(&unrouted.labels).clone(), ..unrouted });
        let shared =
            Shared { registry: Mutex::new(registry), requests, durations, routes, unrouted, connections, lost_lines };
        Figures { shared: Arc::new(shared) }
    }
}

impl Figures {
    /// Prometheus' text format.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut out, &self.shared.registry.lock());
        out
    }

    /// The figures of a route: those that it has already, or new ones.
    pub(crate) fn of(&self, name: &RouteName) -> Arc<RouteFigures> {
        let mut routes = self.shared.routes.lock();
        let new = || {
            let labels = RouteLabels::from(name);
            let duration = self.shared.durations.get_or_create(&labels).clone();
            let requests = self.shared.requests.clone();
            Arc::new(RouteFigures { labels, requests, by_code: RwLock::default(), duration })
        };
        routes.entry(name.clone()).or_insert_with(new).clone()
    }

    /// Forgets routes that there are no more, so that figures do not grow for ever.
    pub(crate) fn keep(&self, is_there: impl Fn(&RouteName) -> bool) {
        self.shared.routes.lock().retain(|name, figures| {
            let keep = is_there(name);
            if !keep {
                self.shared.durations.remove(&figures.labels);
                for code in figures.by_code.read().keys() {
                    self.shared.requests.remove(&RequestLabels { route: figures.labels.clone(), code: *code });
                }
            }
            keep
        });
    }

    /// Those of requests that no route is for.
    pub(crate) fn unrouted(&self) -> Arc<RouteFigures> {
        self.shared.unrouted.clone()
    }

    /// Counts a connection as long as the answer lives.
    pub(crate) fn connection(&self) -> Open {
        self.shared.connections.inc();
        Open(self.shared.connections.clone())
    }

    pub(crate) fn lost_line(&self) {
        self.shared.lost_lines.inc();
    }
}

/// An open connection.
pub(crate) struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::ObjectName;

    fn name(path: &str) -> RouteName {
        let ingress = ObjectName { namespace: "shop".into(), name: "web".into() };
        RouteName { ingress, host: "a.example".into(), path: path.into() }
    }

    #[test]
    fn a_route_keeps_its_figures_until_it_is_gone() {
        let figures = Figures::default();
        figures.of(&name("/")).answered(200, Duration::from_millis(3));
        figures.of(&name("/")).answered(200, Duration::from_millis(3));
        figures.of(&name("/other")).answered(503, Duration::ZERO);
        figures.unrouted().answered(404, Duration::ZERO);
        let text = figures.text();
        let of = |path: &str| format!("namespace=\"shop\",ingress=\"web\",host=\"a.example\",path=\"{path}\"");
        for line in [
            format!("carob_ingress_requests_total{{{},code=\"200\"}} 2", of("/")),
            format!("carob_ingress_requests_total{{{},code=\"503\"}} 1", of("/other")),
            "carob_ingress_requests_total{namespace=\"\",ingress=\"\",host=\"\",path=\"\",code=\"404\"} 1".to_owned(),
            format!("carob_ingress_request_duration_seconds_bucket{{le=\"0.005\",{}}} 2", of("/")),
        ] {
            assert!(text.contains(&line), "no {line} in\n{text}");
        }
        figures.keep(|name| name.path == "/");
        let text = figures.text();
        assert!(text.contains(&of("/")) && !text.contains("/other"), "{text}");
    }

    #[test]
    fn connections_count_while_they_are_open() {
        let figures = Figures::default();
        let open = figures.connection();
        assert!(figures.text().contains("carob_ingress_connections 1"));
        drop(open);
        assert!(figures.text().contains("carob_ingress_connections 0"));
    }
}
