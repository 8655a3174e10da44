//! Finds the cluster's authority by its hash, as kubeadm does, before anything is said.

use std::sync::Arc;

use carob_pki::CaHash;
use http::Uri;
use parking_lot::Mutex;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::IdentityError;

/// The authority's certificate, in DER: of those that the server shows the one with this hash, by which its own is signed.
pub(super) async fn authority(server: &str, hash: CaHash) -> Result<CertificateDer<'static>, IdentityError> {
    let (name, address) = address(server)?;
    let verifier = Arc::new(Pinned { hash, provider: Arc::new(ring::default_provider()), found: Mutex::default() });
    let mut config = ClientConfig::builder_with_provider(verifier.provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let unreachable = |source| IdentityError::Unreachable { server: server.to_owned(), source };
    let stream = TcpStream::connect(&address).await.map_err(unreachable)?;
    match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
        Ok(_) => {}
        Err(error) if error.get_ref().is_some_and(|inner| inner.is::<Error>()) => {
            return Err(IdentityError::NotTrusted { server: server.to_owned(), why: error.to_string() });
        }
        Err(error) => return Err(unreachable(error)),
    }
    let found = verifier.found.lock().take();
    found.ok_or_else(|| IdentityError::NotTrusted {
        server: server.to_owned(),
        why: "it shows no certificate".to_owned(),
    })
}

/// Whom a URL means, for TLS and for TCP.
pub(super) fn address(server: &str) -> Result<(ServerName<'static>, String), IdentityError> {
    let parse = || {
        let uri: Uri = server.parse().ok()?;
        let host = uri.host().filter(|_| uri.scheme_str() == Some("https"))?.to_owned();
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some((ServerName::try_from(bare).ok()?, format!("{host}:{}", uri.port_u16().unwrap_or(443))))
    };
    parse().ok_or_else(|| IdentityError::Url(server.to_owned()))
}

#[derive(Debug)]
struct Pinned {
    hash: CaHash,
    provider: Arc<CryptoProvider>,
    found: Mutex<Option<CertificateDer<'static>>>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authority = intermediates.iter().find(|shown| CaHash::of_der(shown) == Some(self.hash));
        let Some(authority) = authority else {
            return Err(Error::General(format!(
                "none of its certificates is the authority with the hash {}",
                self.hash
            )));
        };
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone()).build();
        let verifier = verifier.map_err(|error| Error::General(error.to_string()))?;
        let verified = verifier.verify_server_cert(end_entity, &[], server_name, ocsp_response, now)?;
        *self.found.lock() = Some(authority.clone().into_owned());
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_url_over_tls_names_a_server() {
        let cases = [
            ("https://10.0.0.1:6443", Some("10.0.0.1:6443")),
            ("https://cluster.example", Some("cluster.example:443")),
            ("https://[fd00::1]:6443/", Some("[fd00::1]:6443")),
            ("http://10.0.0.1:6443", None),
            ("10.0.0.1:6443", None),
            ("", None),
        ];
        for (url, expected) in cases {
            assert_eq!(address(url).ok().map(|(_, address)| address).as_deref(), expected, "{url}");
        }
    }
}
