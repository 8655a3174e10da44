//! A gateway with the routes, Services and Pods that a test wants.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use carob_net::{Answer as Answered, Body, HttpBound, HttpService, Network, Networks, Workload};
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use serde_json::{from_value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::backends::{Backends, Stage};
use crate::ingress::access_log::AccessLog;
use crate::ingress::routes::Routes;
use crate::ingress::{Figures, Limits, Pool, Shared, Timeouts, accept, connection, rules};
use crate::mesh::{Mesh, MeshConfig};
use crate::table::{ObjectName, Port, ServicePort};

pub(crate) struct Scene {
    pub(crate) mesh: Mesh,
    pub(crate) address: SocketAddr,
    pub(crate) figures: Figures,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: JoinHandle<()>,
    log: Log,
    pods: Mutex<Vec<Held>>,
}

/// What keeps a Pod and its HTTP where they are.
type Held = (Arc<dyn Network>, Option<Box<dyn HttpBound>>);

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Scene {
    /// A gateway of one Ingress, `default/web`, whose rules are `(host, path prefix, Service)`.
    pub(crate) async fn new(rules: &[(&str, &str, &str)]) -> Scene {
        Scene::with(rules, Limits::default(), Timeouts::default()).await
    }

    pub(crate) async fn with(rules: &[(&str, &str, &str)], limits: Limits, timeouts: Timeouts) -> Scene {
        let (mesh, figures, log) = (Mesh::new(MeshConfig::default()), Figures::default(), Log::default());
        let routes = Routes::new(&[ingress(rules)], |name| figures.of(name));
        let shared = Arc::new(Shared {
            pool: Arc::new(Pool::new(mesh.clone())),
            mesh: mesh.clone(),
            limits,
            timeouts,
            server: connection::server(limits.head_bytes),
            routes: parking_lot::RwLock::new(Arc::new(routes)),
            unrouted: figures.unrouted(),
            log: Some(AccessLog::new(Box::new(log.clone()), figures.clone())),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, room) = (CancellationToken::new(), Arc::new(Semaphore::new(limits.connections)));
        let running = accept(shared, Some(listener), None, room, figures.clone(), shutdown.clone());
        let running = tokio::spawn(running);
        Scene { mesh, address, figures, shutdown, running, log, pods: Mutex::default() }
    }

    /// The Service has these Pods.
    pub(crate) fn service(&self, name: &str, hosts: &[u8]) {
        let service = ObjectName { namespace: "default".into(), name: name.into() };
        let target = ServicePort { service: service.clone(), port: "".into() };
        let backends = Arc::new(Backends::new(target.clone()));
        hosts.iter().for_each(|host| backends.add(pod_address(*host), Stage::Ready, true));
        let port = Port { number: 80, target, affinity: None };
        self.mesh.shared().ports.replace(service, Some(vec![(port, backends)]));
    }

    /// A Service with one Pod, whose HTTP is answered in this process.
    pub(crate) fn serve(&self, name: &str, host: u8, service: Fake) -> Arc<Fake> {
        let service = Arc::new(service);
        let pod = self.pod(host);
        let bound = pod.serve_http(pod_address(host), service.clone()).unwrap();
        self.pods.lock().push((pod, Some(bound)));
        self.service(name, &[host]);
        service
    }

    /// A Service with one Pod that listens at a socket, and what it does with each connection.
    pub(crate) fn listen<F>(
        &self,
        name: &str,
        host: u8,
        talk: impl Fn(carob_net::TcpStream) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let pod = self.pod(host);
        let listener = pod.bind_tcp(pod_address(host)).unwrap().listen(8).unwrap();
        tokio::spawn(async move {
            while let Ok(connection) = std::future::poll_fn(|cx| listener.poll_accept(cx)).await {
                tokio::spawn(talk(connection.into()));
            }
        });
        self.pods.lock().push((pod, None));
        self.service(name, &[host]);
    }

    fn pod(&self, host: u8) -> Arc<dyn Network> {
        let addresses = vec![pod_address(host).ip()];
        let workload = Workload {
            namespace: "default".into(),
            name: format!("pod-{host}"),
            addresses,
            hosts: vec![],
            names: Default::default(),
        };
        self.mesh.join(workload).unwrap()
    }

    pub(crate) async fn get(&self, version: Version, host: &str, path: &str) -> Answer {
        let uri = match version {
            Version::HTTP_2 => format!("http://{host}{path}"),
            _ => path.to_owned(),
        };
        let mut request = Request::get(uri).version(version);
        if version != Version::HTTP_2 {
            request = request.header("host", host);
        }
        send(self.address, request.body(Full::default()).unwrap()).await
    }

    pub(crate) async fn post(&self, host: &str, body: &str) -> Answer {
        let request = Request::post("/").header("host", host).body(Full::from(body.to_owned())).unwrap();
        send(self.address, request).await
    }

    /// Sends these bytes, and gives all that comes back until the connection is closed.
    pub(crate) async fn raw(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The log, once it has so many lines.
    pub(crate) async fn logged(&self, lines: usize) -> Vec<String> {
        loop {
            let text = String::from_utf8(self.log.0.lock().clone()).unwrap();
            if text.lines().count() >= lines {
                return text.lines().map(str::to_owned).collect();
            }
            tokio::task::yield_now().await;
        }
    }
}

fn ingress(rules: &[(&str, &str, &str)]) -> rules::Rules {
    let rule = |&(host, path, service): &(&str, &str, &str)| {
        let backend = json!({"service": {"name": service, "port": {"number": 80}}});
        json!({"host": host, "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}})
    };
    let rules: Vec<_> = rules.iter().map(rule).collect();
    let object = json!({"metadata": {"namespace": "default", "name": "web"}, "spec": {"rules": rules}});
    rules::read(&from_value(object).unwrap())
}

pub(crate) fn pod_address(host: u8) -> SocketAddr {
    ([10, 244, 0, host], 8080).into()
}

/// Asks for `/` on a connection of its own.
pub(crate) async fn ask(address: SocketAddr, host: &'static str) -> Answer {
    send(address, Request::get("/").header("host", host).body(Full::default()).unwrap()).await
}

async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Answer {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let response = if request.version() == Version::HTTP_2 {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await
    } else {
        let (mut sender, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await
    };
    let response = response.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    Answer { status, text: String::from_utf8_lossy(&bytes).into_owned() }
}

/// What an endpoint of this process does.
pub(crate) struct Fake {
    under_way: Arc<AtomicUsize>,
    talk: Box<dyn Fn(Request<Body>) -> BoxFuture<'static, String> + Send + Sync>,
}

impl Fake {
    fn new<F: Future<Output = String> + Send + 'static>(
        talk: impl Fn(Request<Body>) -> F + Send + Sync + 'static,
    ) -> Fake {
        Fake { under_way: Arc::default(), talk: Box::new(move |request| Box::pin(talk(request))) }
    }

    pub(crate) fn load(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }
}

impl HttpService for Fake {
    fn call(&self, request: Request<Body>) -> Answered {
        let (under_way, answer) = (self.under_way.clone(), (self.talk)(request));
        under_way.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let text = answer.await;
            under_way.fetch_sub(1, Ordering::SeqCst);
            Ok(Response::new(Full::from(text).map_err(|never| match never {}).boxed_unsync()))
        })
    }

    fn load(&self) -> usize {
        Fake::load(self)
    }
}

pub(crate) fn greeting(text: &'static str) -> Fake {
    Fake::new(move |_| async move { text.to_owned() })
}

/// Answers with what these headers said.
pub(crate) fn echo_of(names: &'static [&'static str]) -> Fake {
    let said = |headers: &HeaderMap, name: &str| {
        let value = headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default();
        format!("{name}={value};")
    };
    Fake::new(move |request| {
        let text = names.iter().map(|name| said(request.headers(), name)).collect();
        async move { text }
    })
}

/// Reads all of the body, and answers with its length.
pub(crate) fn length() -> Fake {
    Fake::new(|request| async move {
        match request.into_body().collect().await {
            Ok(body) => body.to_bytes().len().to_string(),
            Err(error) => error.to_string(),
        }
    })
}

/// Answers one request for each permit.
pub(crate) fn held(answers: Arc<Semaphore>) -> Fake {
    Fake::new(move |_| {
        let answers = answers.clone();
        async move {
            answers.acquire().await.unwrap().forget();
            "at last".to_owned()
        }
    })
}
