//! Makes the cluster's keys and certificates.
//!
//! A cluster has one certificate authority. It signs the API server's serving certificate and the client certificates by
//! which people and nodes say who they are: the subject's common name is the user, its organization the group
//! (<https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates>).
//! A key of its own signs the tokens of ServiceAccounts.
//!
//! This crate never opens a socket and never decides who may do what. Start reading at [`ClusterPki::load_or_create`].

mod authority;
mod ca_hash;
mod cluster;
mod files;
mod kubeconfig;
mod node;
mod pair;
mod request;
mod tls;
mod token_key;

pub use authority::{Authority, CLOCK_SKEW, Names, Usage};
pub use ca_hash::{CaHash, CaHashError};
pub use cluster::ClusterPki;
pub use files::write_private;
pub use kubeconfig::kubeconfig;
pub use node::{NODE_USER_PREFIX, NODES_GROUP, NodeIdentity, node_user};
pub use pair::{KeyPair, Validity, groups, pem};
pub use request::{CertificateRequest, RequestError, Requested};
pub use tls::{Shown, client_of_anyone, client_trusting};
pub use token_key::{PublicKey, TokenKey};

use std::io;
use std::path::PathBuf;

/// Why keys or certificates could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot {act} {}", path.display())]
    File {
        /// `read` or `write`.
        act: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file holds something else than what belongs there.
    #[error("{} does not hold a usable key or certificate; restore it from a backup, or remove the folder it is in to make a new authority (every client certificate is then void)", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What the parser said.
        source: rcgen::Error,
    },
    /// The file of the key that signs tokens holds something else.
    #[error("{} does not hold a usable P-256 key; restore it from a backup, or remove it to make a new one (every ServiceAccount token is then void)", path.display())]
    UnusableTokenKey {
        /// Which file.
        path: PathBuf,
        /// What the parser said.
        source: rcgen::Error,
    },
    /// Nothing can be signed without random numbers.
    #[error("the system has no randomness to sign with")]
    NoRandomness,
    /// A file does not hold a certificate with its key.
    #[error("{} does not hold a certificate and its key; remove it to ask for new ones", path.display())]
    UnusablePair {
        /// Which file.
        path: PathBuf,
    },
    /// A certificate could not be read.
    #[error("this is no X.509 certificate in PEM")]
    NoCertificate,
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Sign(#[from] rcgen::Error),
}
