//! By what a node proves to others who it is, and what it takes for proof.

use std::fmt;
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, ring as provider};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;

use super::NodeName;
use super::identity::{self, IdentityError};

/// A node's certificate and key, and the authorities whose word for other nodes it takes.
pub struct Credentials {
    node: NodeName,
    pub(crate) certified: Arc<CertifiedKey>,
    /// A node's certificate is a client's, whichever side dials: that is what the cluster gives it.
    pub(crate) authorities: Arc<dyn ClientCertVerifier>,
    /// The same after a restart, so that others learn of it from the first packet that they send.
    pub(crate) reset_seed: [u8; 32],
}

/// Why credentials are of no use.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Something that is not PEM, or lacks what is needed.
    #[error("cannot read {what} as PEM")]
    Pem {
        /// Which part.
        what: &'static str,
        /// What the parser said.
        source: PemError,
    },
    /// There is no certificate.
    #[error("there is no certificate in the node's chain")]
    NoCertificate,
    /// The key does not belong to the certificate, or is of no kind that can be used.
    #[error("the key cannot be used with the node's certificate")]
    Key(#[source] rustls::Error),
    /// An authority cannot be used.
    #[error("a certificate authority cannot be used")]
    Authority(#[source] rustls::Error),
    /// There is no authority.
    #[error("nobody could be trusted with these authorities")]
    Authorities(#[from] VerifierBuilderError),
    /// The certificate is not a node's.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl Credentials {
    /// From PEM: the node's certificate with whatever stands between it and the authorities, its key, the authorities.
    ///
    /// # Errors
    /// If they do not fit together, or the certificate is not a node's.
    pub fn from_pem(chain: &str, key: &str, authorities: &str) -> Result<Credentials, CredentialsError> {
        let chain = certificates("the node's certificate", chain)?;
        let node = identity::node(chain.first().ok_or(CredentialsError::NoCertificate)?)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|source| CredentialsError::Pem { what: "the node's key", source })?;
        let reset_seed = seed(&key);
        let certified = CertifiedKey::from_der(chain, key, &crypto()).map_err(CredentialsError::Key)?;
        let authorities = certificates("the cluster's authorities", authorities)?;
        Ok(Credentials { node, certified: Arc::new(certified), authorities: verifier(authorities)?, reset_seed })
    }

    /// The node that they are of.
    pub fn node(&self) -> &NodeName {
        &self.node
    }
}

impl fmt::Debug for Credentials {
    /// Nothing secret.
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Credentials").field("node", &self.node).finish_non_exhaustive()
    }
}

/// The one set of algorithms, whatever the process has for default.
pub(crate) fn crypto() -> CryptoProvider {
    provider::default_provider()
}

fn certificates(what: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    certificates.map_err(|source| CredentialsError::Pem { what, source })
}

fn verifier(authorities: Vec<CertificateDer<'static>>) -> Result<Arc<dyn ClientCertVerifier>, CredentialsError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).map_err(CredentialsError::Authority)?;
    }
    Ok(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(crypto())).build()?)
}

fn seed(key: &PrivateKeyDer<'_>) -> [u8; 32] {
    let salted = [b"carob mesh: stateless reset", key.secret_der()].concat();
    let mut seed = [0; 32];
    seed.copy_from_slice(digest(&SHA256, &salted).as_ref());
    seed
}
