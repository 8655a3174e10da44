use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream in both directions.
pub trait AsyncReadWrite: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> AsyncReadWrite for T {}

/// Opens connections to the kubelet API of nodes. The API server speaks HTTP/1.1 over them.
#[async_trait::async_trait]
pub trait NodeDialer: Send + Sync + 'static {
    /// A connection to the node of this name. A node that cannot be reached is an error that says why.
    async fn dial(&self, node: &str) -> io::Result<Box<dyn AsyncReadWrite>>;
}

/// The dialer of a control plane without nodes: it reaches none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNodes;

#[async_trait::async_trait]
impl NodeDialer for NoNodes {
    async fn dial(&self, node: &str) -> io::Result<Box<dyn AsyncReadWrite>> {
        Err(io::Error::new(io::ErrorKind::NotConnected, format!("no way to node {node:?} is set up")))
    }
}
