use std::sync::Arc;

use anyhow::Context;
use carob_pki::ClusterPki;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// TLS as the API server speaks it: a client may show a certificate, and if it does, the cluster's authority signed it.
pub(crate) fn server(pki: &ClusterPki) -> anyhow::Result<ServerConfig> {
    let authority = CertificateDer::from_pem_slice(pki.authority.certificate().as_bytes())?;
    let clients = WebPkiClientVerifier::builder(Arc::new(trusted(pki)?)).allow_unauthenticated().build()?;
    let certificate = CertificateDer::from_pem_slice(pki.apiserver.certificate.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(pki.apiserver.key.as_bytes())?;
    let mut config = ServerConfig::builder()
        .with_client_cert_verifier(clients)
        // Whoever wants to join knows the authority by its hash only, and looks for it here.
        .with_single_cert(vec![certificate, authority], key)
        .context("the API server's certificate and key do not fit")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// TLS as the API server speaks it to kubelets.
pub(crate) fn kubelet_client(pki: &ClusterPki) -> anyhow::Result<ClientConfig> {
    let certificate = CertificateDer::from_pem_slice(pki.kubelet_client.certificate.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(pki.kubelet_client.key.as_bytes())?;
    let config = ClientConfig::builder().with_root_certificates(trusted(pki)?);
    let mut config = config.with_client_auth_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn trusted(pki: &ClusterPki) -> anyhow::Result<RootCertStore> {
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_slice(pki.authority.certificate().as_bytes())?)?;
    Ok(trusted)
}
