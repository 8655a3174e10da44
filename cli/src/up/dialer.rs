use std::io;
use std::sync::OnceLock;

use axum::Router;
use carob_apiserver::{AsyncReadWrite, NodeDialer};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;

/// What the node's end of a connection buffers.
const BUFFER: usize = 64 * 1024;

/// Reaches the one node of this process: its kubelet API is served over an in-memory pipe.
#[derive(Default)]
pub(crate) struct InProcessDialer {
    kubelet: OnceLock<Router>,
}

impl InProcessDialer {
    /// Connections reach `kubelet` from now on.
    pub(crate) fn serve(&self, kubelet: Router) {
        self.kubelet.set(kubelet).ok();
    }
}

#[async_trait::async_trait]
impl NodeDialer for InProcessDialer {
    async fn dial(&self, node: &str) -> io::Result<Box<dyn AsyncReadWrite>> {
        let Some(kubelet) = self.kubelet.get().cloned() else {
            return Err(io::Error::new(io::ErrorKind::NotConnected, format!("node {node} has not started yet")));
        };
        let (near, far) = tokio::io::duplex(BUFFER);
        // Ends with the caller's end of the pipe.
        tokio::spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            let served = server.serve_connection_with_upgrades(TokioIo::new(far), TowerToHyperService::new(kubelet));
            if let Err(error) = served.await {
                tracing::debug!(error, "a connection to the kubelet API ended early");
            }
        });
        Ok(Box::new(near))
    }
}
