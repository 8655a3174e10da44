//! One request: whom it is for, and what becomes of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use carob_net::Body;
use http::header::{CONTENT_LENGTH, REFERER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::Shared;
use super::access_log::Line;
use super::body::{self, Received};
use super::clock::Clock;
use super::headers;
use super::routes::Route;
use super::rules::{Backend, PortOf};
use super::tunnel::Tunnels;
use super::upstream::Upstream;
use crate::balance::{self, say};
use crate::mesh::{Frontend, Missing};

/// A client's connection, as far as its requests are concerned.
pub(crate) struct Client {
    pub(crate) gateway: Arc<Shared>,
    pub(crate) address: SocketAddr,
    pub(crate) is_tls: bool,
    pub(crate) clock: Arc<Clock>,
    pub(crate) tunnels: Tunnels,
}

/// What the log tells of a request. Cloning what it is made of is cheap.
struct Seen {
    begun: Instant,
    method: Method,
    uri: Uri,
    version: Version,
    referer: Option<HeaderValue>,
    agent: Option<HeaderValue>,
    host: String,
}

impl Seen {
    fn of(request: &Request<Incoming>) -> Seen {
        let header = |name| request.headers().get(name).cloned();
        Seen {
            begun: Instant::now(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            referer: header(REFERER),
            agent: header(USER_AGENT),
            host: headers::authority(request).unwrap_or_default().to_owned(),
        }
    }
}

impl Client {
    /// Answers a request, and tells of it when its answer has ended.
    pub(crate) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let seen = Seen::of(&request);
        self.clock.begun(seen.version == Version::HTTP_2);
        let route = self.gateway.routes().find(&headers::host_name(&seen.host), seen.uri.path()).cloned();
        let response = match (self.refusal(&request, &seen), &route) {
            (Some(refusal), _) => refusal,
            (None, None) => say(StatusCode::NOT_FOUND, "no Ingress has a rule for this host and path\n".into()),
            (None, Some(route)) => self.ask(&route.backend, &seen.host, request).await,
        };
        self.tell_at_its_end(response, seen, route)
    }

    /// What no backend is to see.
    fn refusal(&self, request: &Request<Incoming>, seen: &Seen) -> Option<Response<Body>> {
        let limits = self.gateway.limits;
        let (code, text) = if headers::size(request) > limits.head_bytes {
            let text = format!("the request's head is larger than {} bytes\n", limits.head_bytes);
            (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, text)
        } else if content_length(request.headers()).is_some_and(|length| length > limits.body_bytes) {
            (StatusCode::PAYLOAD_TOO_LARGE, too_large(limits.body_bytes))
        } else if seen.host.is_empty() {
            (StatusCode::BAD_REQUEST, "the request names no host\n".into())
        } else {
            return None;
        };
        Some(say(code, text))
    }

    async fn ask(&self, backend: &Backend, host: &str, mut request: Request<Incoming>) -> Response<Body> {
        let frontend = match self.frontend(backend) {
            Ok(frontend) => frontend,
            Err(why) => return say(StatusCode::SERVICE_UNAVAILABLE, why),
        };
        let upgrade = headers::upgrade(request.headers()).filter(|_| request.version() == Version::HTTP_11);
        headers::strip_hop_by_hop(request.headers_mut());
        headers::forward(request.headers_mut(), self.address.ip(), self.is_tls, host);
        match upgrade {
            Some(protocol) => self.upgrade(&frontend, protocol, request).await,
            None => self.forward(&frontend, request).await,
        }
    }

    fn frontend(&self, backend: &Backend) -> Result<Arc<Frontend>, String> {
        let (service, port) = match backend {
            Backend::Service { service, port } => (service, port),
            Backend::Unserved(why) => return Err(format!("{why}\n")),
        };
        let found = match port {
            PortOf::Number(number) => self.gateway.mesh.shared().ports.numbered(service, *number),
            PortOf::Name(name) => self.gateway.mesh.shared().ports.named(service, name),
        };
        found.map_err(|missing| match missing {
            Missing::Service => format!("there is no Service {}/{}\n", service.namespace, service.name),
            Missing::Port => format!("Service {}/{} has no TCP port {port}\n", service.namespace, service.name),
        })
    }

    /// Has an endpoint answer, in the time that a request may take.
    pub(crate) async fn forward(&self, frontend: &Frontend, request: Request<Incoming>) -> Response<Body> {
        let limits = self.gateway.limits;
        let (parts, body) = request.into_parts();
        let (body, received) = body::limited(body, limits.body_bytes);
        let upstream = Upstream { mesh: &self.gateway.mesh, pool: &self.gateway.pool, client: self.address };
        let request = Request::from_parts(parts, body);
        let answered = balance::forward(&upstream, frontend, self.address.ip(), request);
        let mut response = tokio::select! {
            biased;
            () = received.too_large() => return say(StatusCode::PAYLOAD_TOO_LARGE, too_large(limits.body_bytes)),
            answered = timeout(self.gateway.timeouts.request, answered) => match answered {
                Ok(response) => response,
                Err(_) => return late(&received),
            },
        };
        // Whatever an endpoint answers to a body that broke off.
        if received.is_too_large() {
            return say(StatusCode::PAYLOAD_TOO_LARGE, too_large(limits.body_bytes));
        }
        headers::strip_hop_by_hop(response.headers_mut());
        *response.version_mut() = Version::HTTP_11;
        response
    }

    fn tell_at_its_end(&self, response: Response<Body>, seen: Seen, route: Option<Arc<Route>>) -> Response<Body> {
        let (gateway, clock, client) = (self.gateway.clone(), self.clock.clone(), self.address);
        let code = response.status().as_u16();
        response.map(|body| {
            body::told(body, move |bytes| {
                clock.ended(Instant::now());
                gateway.tell(client, &seen, route.as_deref(), code, bytes);
            })
        })
    }
}

impl Shared {
    fn tell(&self, client: SocketAddr, seen: &Seen, route: Option<&Route>, code: u16, bytes: u64) {
        let took = seen.begun.elapsed();
        match route {
            Some(route) => route.figures.answered(code, took),
            None => self.unrouted.answered(code, took),
        }
        let Some(log) = &self.log else { return };
        let text = |value: &Option<HeaderValue>| {
            value.as_ref().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
        };
        let (route, backend) = route.map(named).unwrap_or_default();
        let target = seen.uri.path_and_query().map_or("*", |target| target.as_str());
        log.write(&Line {
            client: client.ip(),
            method: seen.method.as_str(),
            target,
            version: seen.version,
            code,
            bytes,
            referer: &text(&seen.referer),
            agent: &text(&seen.agent),
            host: &seen.host,
            route: &route,
            backend: &backend,
            took,
        });
    }
}

/// The Ingress and the Service of a route.
fn named(route: &Route) -> (String, String) {
    let ingress = &route.name.ingress;
    let backend = match &route.backend {
        Backend::Service { service, port } => format!("{}/{}:{port}", service.namespace, service.name),
        Backend::Unserved(_) => String::new(),
    };
    (format!("{}/{}", ingress.namespace, ingress.name), backend)
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(most: u64) -> String {
    format!("the request's body is larger than {most} bytes\n")
}

fn late(received: &Received) -> Response<Body> {
    match received.is_whole() {
        true => say(StatusCode::GATEWAY_TIMEOUT, "the endpoint did not answer in time\n".into()),
        false => say(StatusCode::REQUEST_TIMEOUT, "the request's body did not arrive in time\n".into()),
    }
}
