//! TLS as probes speak it: whom they reach is known by the address, so no certificate is checked, as a kubelet has it.

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::heard::Heard;

/// Why there is no TLS.
#[derive(Debug)]
pub(super) enum Refused {
    /// The other end answers by plain HTTP.
    SpeaksHttp,
    Other(String),
}

/// Speaks TLS over `io` with whoever is there.
pub(super) async fn connect<Io: AsyncRead + AsyncWrite + Unpin>(
    io: Io,
    host: &str,
) -> Result<TlsStream<Heard<Io>>, Refused> {
    let other = |error: String| Refused::Other(format!("tls: {error}"));
    let name = ServerName::try_from(host.to_owned()).map_err(|error| other(format!("{host:?}: {error}")))?;
    let config = carob_pki::client_of_anyone().map_err(|error| other(error.to_string()))?;
    let connecting = TlsConnector::from(config).connect(name, Heard::new(io)).into_fallible();
    connecting.await.map_err(|(error, io)| if io.is_http() { Refused::SpeaksHttp } else { other(error.to_string()) })
}
