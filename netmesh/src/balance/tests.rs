use std::sync::atomic::{AtomicUsize, Ordering};

use carob_net::{Answer, HttpEndpoints, Registration};
use http_body_util::Empty;
use parking_lot::Mutex;

use super::*;
use crate::backends::{Backends, Scope, Stage};
use crate::table::{ObjectName, ServicePort};

/// Answers with its own name, after as many refusals as were put in.
struct Fake {
    name: &'static str,
    load: usize,
    refusals: Mutex<Vec<(Refused, bool)>>,
    calls: AtomicUsize,
}

impl HttpService for Fake {
    fn call(&self, request: Request<Body>) -> Answer {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let name = self.name;
        let refusal = self.refusals.lock().pop();
        Box::pin(async move {
            match refusal {
                None => Ok(say(StatusCode::OK, name.into())),
                Some((why, give_back)) => Err((why, give_back.then_some(request))),
            }
        })
    }

    fn load(&self) -> usize {
        self.load
    }
}

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// A Service whose endpoints are fakes; all of them stay registered.
struct Scene {
    endpoints: HttpEndpoints,
    denied: Vec<SocketAddr>,
    backends: Arc<Backends>,
    frontend: Frontend,
    registrations: Vec<Registration>,
}

impl Endpoints for Scene {
    fn find(&self, endpoint: SocketAddr) -> Found {
        match self.endpoints.lookup(endpoint) {
            _ if self.denied.contains(&endpoint) => Found::Denied,
            Some(service) => Found::Service(service),
            None => Found::Nobody,
        }
    }

    fn cost(&self, _: SocketAddr, service: &dyn HttpService) -> Cost {
        service.load() as Cost
    }

    fn answered(&self, _: SocketAddr, _: Duration) {}
}

impl Scene {
    fn new() -> Self {
        let service = ObjectName { namespace: "default".into(), name: "web".into() };
        let backends = Arc::new(Backends::new(ServicePort { service, port: "http".into() }));
        let frontend = Frontend::new(backends.clone(), Scope::Cluster, None);
        let (endpoints, registrations) = (HttpEndpoints::default(), Vec::new());
        Self { endpoints, denied: Vec::new(), backends, frontend, registrations }
    }

    fn endpoint(&mut self, name: &'static str, load: usize, refusals: Vec<(Refused, bool)>) -> Arc<Fake> {
        let fake = Arc::new(Fake { name, load, refusals: Mutex::new(refusals), calls: AtomicUsize::new(0) });
        let address = ([10, 0, 0, self.registrations.len() as u8], 80).into();
        self.registrations.push(self.endpoints.register(address, fake.clone()).unwrap());
        self.backends.add(address, Stage::Ready, true);
        fake
    }

    async fn ask(&self) -> (StatusCode, String) {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let response = forward(self, &self.frontend, CLIENT, Request::new(body)).await;
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

fn closed(times: usize) -> Vec<(Refused, bool)> {
    (0..times).map(|_| (Refused::Closed, true)).collect()
}

fn overloaded(times: usize) -> Vec<(Refused, bool)> {
    (0..times).map(|_| (Refused::Overloaded, true)).collect()
}

#[tokio::test]
async fn the_less_loaded_of_two_answers() {
    let mut scene = Scene::new();
    scene.endpoint("busy", 7, vec![]);
    scene.endpoint("idle", 0, vec![]);
    for _ in 0..20 {
        assert_eq!(scene.ask().await, (StatusCode::OK, "idle".into()));
    }
}

#[tokio::test]
async fn equally_loaded_ones_share_the_requests() {
    let mut scene = Scene::new();
    let fakes = [scene.endpoint("a", 1, vec![]), scene.endpoint("b", 1, vec![]), scene.endpoint("c", 1, vec![])];
    for _ in 0..300 {
        scene.ask().await;
    }
    let calls = fakes.map(|fake| fake.calls.load(Ordering::Relaxed));
    assert!(calls.iter().all(|&calls| calls > 40), "{calls:?}");
}

#[tokio::test]
async fn a_request_that_was_given_back_is_taken_elsewhere() {
    for refusals in [closed(9), overloaded(9)] {
        let mut scene = Scene::new();
        scene.endpoint("leaving", 0, refusals);
        scene.endpoint("staying", 5, vec![]);
        assert_eq!(scene.ask().await, (StatusCode::OK, "staying".into()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_is_held_while_all_endpoints_close_and_their_successor_is_on_its_way() {
    let mut scene = Scene::new();
    scene.endpoint("late", 0, closed(6));
    assert_eq!(scene.ask().await, (StatusCode::OK, "late".into()));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_not_held_for_ever() {
    let mut scene = Scene::new();
    scene.endpoint("gone", 0, closed(100_000));
    let (status, text) = scene.ask().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text, "no ready endpoint of Service default/web port http serves HTTP on this node\n");
}

#[tokio::test]
async fn without_a_ready_endpoint_the_answer_says_so_at_once() {
    let (status, text) = Scene::new().ask().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text, "Service default/web port http has no ready endpoint\n");
}

#[tokio::test]
async fn overload_everywhere_is_said_at_once_and_asks_for_a_later_try() {
    let mut scene = Scene::new();
    scene.endpoint("a", 9, overloaded(9));
    scene.endpoint("b", 9, overloaded(9));
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let response = forward(&scene, &scene.frontend, CLIENT, Request::new(body)).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[header::RETRY_AFTER], "1");
}

#[tokio::test]
async fn who_may_ask_nobody_hears_so_at_once_and_otherwise_asks_the_others() {
    let mut scene = Scene::new();
    scene.endpoint("closed to all", 0, vec![]);
    scene.denied.push(([10, 0, 0, 0], 80).into());
    assert_eq!(scene.ask().await.0, StatusCode::FORBIDDEN);
    scene.endpoint("open", 5, vec![]);
    for _ in 0..20 {
        assert_eq!(scene.ask().await, (StatusCode::OK, "open".into()));
    }
}

#[tokio::test]
async fn a_request_that_was_started_is_not_started_again() {
    for lost in
        [(Refused::Failed("trap".into()), false), (Refused::Closed, false), (Refused::Failed("trap".into()), true)]
    {
        let mut scene = Scene::new();
        let fake = scene.endpoint("trapping", 0, vec![lost]);
        assert_eq!(scene.ask().await.0, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(fake.calls.load(Ordering::Relaxed), 1);
    }
}
