use std::sync::Arc;

use carob_net::TcpStream;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wasmtime_wasi_http::Error;

use super::error::in_tls;

/// TLS to the outside, by the certificates that the host trusts; they are read when the first guest asks for `https`.
#[derive(Default)]
pub(crate) struct Tls {
    connector: OnceCell<TlsConnector>,
}

impl Tls {
    #[cfg(test)]
    pub(super) fn trusting(roots: RootCertStore) -> Tls {
        Tls { connector: OnceCell::new_with(Some(connector(roots))) }
    }

    /// Makes sure that whoever is at the other end of `io` is `host`.
    pub(super) async fn connect(&self, host: &str, io: TcpStream) -> Result<TlsStream<TcpStream>, Error> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Error::HttpRequestUriInvalid)?;
        let connector = self.connector.get_or_try_init(trusting_the_host).await?;
        connector.connect(name, io).await.map_err(|error| in_tls(&error))
    }
}

async fn trusting_the_host() -> Result<TlsConnector, Error> {
    let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
    let found = found.map_err(|error| Error::InternalError(Some(error.to_string())))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!(errors = ?found.errors, "https requests of guests fail: the host trusts no certificates");
        return Err(Error::ConfigurationError);
    }
    Ok(connector(roots))
}

fn connector(roots: RootCertStore) -> TlsConnector {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has ciphers for the default versions of TLS");
    TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
