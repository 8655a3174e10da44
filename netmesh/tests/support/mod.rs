//! A cluster as far as the netmesh can see it: an API that tells of Services and EndpointSlices, and endpoints that answer.

mod api;
mod endpoint;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use bytes::Bytes;
use carob_net::{HttpBound, Network, Networks, Workload};
use carob_netmesh::{Mesh, MeshConfig, NetmeshConfig, Services};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use api::FakeApi;
pub(crate) use endpoint::FakeEndpoint;

/// The host, as its clients see it.
pub(crate) const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub(crate) type HttpClient = Client<HttpConnector, Empty<Bytes>>;

/// A Pod that serves HTTP for as long as this is held.
pub(crate) struct Serving {
    _bound: Box<dyn HttpBound>,
    _pod: Arc<dyn Network>,
}

/// A running netmesh with one Service, `default/web`, and whatever endpoints the test gives it.
pub(crate) struct Cluster {
    pub(crate) api: FakeApi,
    pub(crate) mesh: Mesh,
    pub(crate) node_port: u16,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: JoinHandle<()>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        Self::start_at(free_port())
    }

    pub(crate) fn start_at(node_port: u16) -> Self {
        let (api, client) = FakeApi::new();
        let mesh = Mesh::new(MeshConfig::default());
        let config = NetmeshConfig { node_name: "node".into(), node_port_address: HOST, host_address: HOST };
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(Services::new(client, mesh.clone(), config).run(shutdown.clone()));
        api.service(node_port);
        Self { api, mesh, node_port, shutdown, running }
    }

    /// A Pod that serves an endpoint at its own address; the EndpointSlice does not list it yet.
    pub(crate) fn endpoint(&self, host: u8, endpoint: FakeEndpoint) -> (Arc<FakeEndpoint>, Serving) {
        let endpoint = Arc::new(endpoint);
        let pod = self.pod(host);
        let bound = pod.serve_http(pod_address(host), endpoint.clone()).expect("the port is free");
        (endpoint, Serving { _bound: bound, _pod: pod })
    }

    /// A Pod.
    pub(crate) fn pod(&self, host: u8) -> Arc<dyn Network> {
        let workload = Workload {
            namespace: "default".into(),
            name: format!("pod-{host}"),
            addresses: vec![pod_address(host).ip()],
            hosts: vec![],
            names: Default::default(),
        };
        self.mesh.join(workload).expect("the address is free")
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.node_port)
    }

    /// Asks until the answer has `status`: the netmesh learns of changes a moment after they are made.
    pub(crate) async fn answers(&self, status: StatusCode) -> String {
        let client = http1_client();
        loop {
            if let Ok(response) = client.get(self.url().parse().unwrap()).await
                && response.status() == status
            {
                return text(response).await;
            }
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.unwrap();
    }
}

pub(crate) async fn text(response: Response<hyper::body::Incoming>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Does not try again by itself: a failure is the test's business.
pub(crate) fn http1_client() -> HttpClient {
    Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build_http()
}

pub(crate) fn http2_client() -> HttpClient {
    Client::builder(TokioExecutor::new()).http2_only(true).build_http()
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

pub(crate) fn pod_address(host: u8) -> SocketAddr {
    ([10, 244, 0, host], 8080).into()
}

/// What an Event says, and about what.
pub(crate) fn summary(event: &Value) -> (String, String) {
    let of = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    (of("/reason"), format!("{}/{}", of("/regarding/kind"), of("/regarding/name")))
}
