//! Finds the cluster's authority by its hash, as kubeadm does, before anything is said.

use std::sync::Arc;

use carob_pki::{CaHash, Shown, client_trusting};
use http::Uri;
use parking_lot::Mutex;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{Error, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::IdentityError;

/// The authority's certificate, in DER: of those that the server shows the one with this hash, by which its own is signed.
pub(super) async fn authority(server: &str, hash: CaHash) -> Result<CertificateDer<'static>, IdentityError> {
    let (name, address) = address(server)?;
    let found: Arc<Mutex<Option<CertificateDer<'static>>>> = Arc::default();
    let finds = found.clone();
    let mut config = client_trusting(move |shown| {
        *finds.lock() = Some(pinned(shown, hash)?);
        Ok(())
    })?;
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
    let found = found.lock().take();
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

/// The authority with this hash among what a server shows, if the server's certificate is signed by it.
fn pinned(shown: &Shown<'_>, hash: CaHash) -> Result<CertificateDer<'static>, Error> {
    let authority = shown.others.iter().find(|one| CaHash::of_der(one) == Some(hash));
    let none = || Error::General(format!("none of its certificates is the authority with the hash {hash}"));
    let authority = authority.ok_or_else(none)?.clone().into_owned();
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone())?;
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let verifier = verifier.map_err(|error| Error::General(error.to_string()))?;
    verifier.verify_server_cert(shown.certificate, &[], shown.name, &[], shown.now)?;
    Ok(authority)
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
