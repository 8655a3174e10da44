//! TLS with a Pod, over a connection that its node has made to it: who is there is known by the way, so that no certificate
//! is checked, as a kube-apiserver has it.

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Speaks TLS over `stream` with the Pod or Service of this name.
pub(super) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(stream: S, name: &str) -> Result<TlsStream<S>, String> {
    let name = ServerName::try_from(name.to_owned()).map_err(|error| format!("tls: {name:?}: {error}"))?;
    let config = carob_pki::client_of_anyone().map_err(|error| format!("tls: {error}"))?;
    TlsConnector::from(config).connect(name, stream).await.map_err(|error| format!("tls: {error}"))
}
