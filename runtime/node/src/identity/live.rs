//! Certificates that every new connection uses in their newest form.

use std::sync::Arc;

use carob_pki::KeyPair;
use parking_lot::RwLock;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SignatureScheme};

use super::IdentityError;

/// A certificate and its key, which may be replaced; none as long as there is none.
#[derive(Debug, Default)]
pub(super) struct Live(RwLock<Option<Arc<CertifiedKey>>>);

impl Live {
    pub(super) fn replace(&self, pair: &KeyPair) -> Result<(), IdentityError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).collect();
        let unreadable = |_| rustls::Error::General("the certificate or its key is no PEM".to_owned());
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).map_err(unreadable)?;
        let certified = CertifiedKey::from_der(chain.map_err(unreadable)?, key, &ring::default_provider())?;
        *self.0.write() = Some(Arc::new(certified));
        Ok(())
    }

    fn now(&self) -> Option<Arc<CertifiedKey>> {
        self.0.read().clone()
    }
}

impl ResolvesClientCert for Live {
    fn resolve(&self, _authorities: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.now()
    }

    fn has_certs(&self) -> bool {
        self.now().is_some()
    }
}

impl ResolvesServerCert for Live {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.now()
    }
}

/// TLS of connections that the node makes to the API server.
pub(super) fn client(authority: &str, live: Arc<Live>) -> Result<ClientConfig, IdentityError> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(authority)?)
        .with_client_cert_resolver(live);
    // A resumed session would speak for the certificate that it began with.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// TLS of connections that the node takes: from clients with a certificate of the cluster only.
pub(super) fn server(authority: &str, live: Arc<Live>) -> Result<ServerConfig, IdentityError> {
    let provider = Arc::new(ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(authority)?), provider.clone()).build();
    let clients = clients.map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(live);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(authority: &str) -> Result<RootCertStore, IdentityError> {
    let unreadable = |_| rustls::Error::General("the authority's certificate is no PEM".to_owned());
    let certificate = CertificateDer::from_pem_slice(authority.as_bytes()).map_err(unreadable)?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate)?;
    Ok(roots)
}
