use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use axum::Router;
use carob_apiserver::{AsyncReadWrite, NodeDialer};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What the node's end of a connection buffers.
const BUFFER: usize = 64 * 1024;

/// The API server's way to the kubelets: to that of its own process over an in-memory pipe, to all others over TLS.
pub(crate) struct Dialer {
    tls: TlsConnector,
    /// Where the Nodes are read; there is none before the API server is there, whose dialer this is.
    nodes: OnceLock<Api<Node>>,
    local: OnceLock<(String, Router)>,
}

impl Dialer {
    /// `tls` shows the API server's certificate to kubelets, and knows the authority that theirs are signed by.
    pub(crate) fn new(tls: ClientConfig) -> Self {
        Self { tls: TlsConnector::from(Arc::new(tls)), nodes: OnceLock::new(), local: OnceLock::new() }
    }

    /// Looks up nodes by this client from now on.
    pub(crate) fn look_up(&self, client: Client) {
        self.nodes.set(Api::all(client)).ok();
    }

    /// Connections to this node reach `kubelet` from now on.
    pub(crate) fn serve(&self, node: String, kubelet: Router) {
        self.local.set((node, kubelet)).ok();
    }

    /// The node proves that it is the one of this name, wherever it is.
    async fn dial_remote(&self, node: &str) -> io::Result<Box<dyn AsyncReadWrite>> {
        let nodes = self.nodes.get().ok_or(ErrorKind::NotConnected)?;
        let object = nodes.get(node).await.map_err(io::Error::other)?;
        let address = kubelet_of(&object).ok_or_else(|| {
            io::Error::new(ErrorKind::NotConnected, format!("node {node} says no address and port of its kubelet"))
        })?;
        let name = ServerName::try_from(node.to_owned()).map_err(io::Error::other)?;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(self.tls.connect(name, stream).await?))
    }
}

#[async_trait::async_trait]
impl NodeDialer for Dialer {
    async fn dial(&self, node: &str) -> io::Result<Box<dyn AsyncReadWrite>> {
        match self.local.get() {
            Some((name, kubelet)) if name == node => Ok(dial_local(kubelet.clone())),
            _ => self.dial_remote(node).await,
        }
    }
}

fn dial_local(kubelet: Router) -> Box<dyn AsyncReadWrite> {
    let (near, far) = tokio::io::duplex(BUFFER);
    // Ends with the caller's end of the pipe.
    tokio::spawn(async move {
        let server = auto::Builder::new(TokioExecutor::new());
        let served = server.serve_connection_with_upgrades(TokioIo::new(far), TowerToHyperService::new(kubelet));
        if let Err(error) = served.await {
            tracing::debug!(error, "a connection to the kubelet API ended early");
        }
    });
    Box::new(near)
}

fn kubelet_of(node: &Node) -> Option<SocketAddr> {
    let status = node.status.as_ref()?;
    let addresses = status.addresses.iter().flatten();
    let internal = addresses.filter(|address| address.type_ == "InternalIP").find_map(|one| one.address.parse().ok());
    let ip: IpAddr = internal?;
    let port = status.daemon_endpoints.as_ref()?.kubelet_endpoint.as_ref()?.port;
    let port = u16::try_from(port).ok().filter(|port| *port != 0)?;
    Some(SocketAddr::new(ip, port))
}
