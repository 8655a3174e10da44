//! What a node proves itself with where it is not in the API server's own process.
//!
//! It joins with a bootstrap token, once: `trust` finds the cluster's authority by its hash before anything secret is sent,
//! and `request` asks for the node's certificates. They are kept on disk; `credentials` renews them before they end, and
//! `live` has every new connection use the newest.

mod credentials;
mod live;
mod request;
mod timing;
mod trust;

pub use credentials::{Credentials, Invitation};

/// Why a node has no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The URL of the API server has no host.
    #[error("{0:?} is no URL of an API server, such as https://10.0.0.1:6443")]
    Url(String),
    /// Nobody answers there.
    #[error("the API server at {server} cannot be reached: {source}")]
    Unreachable {
        /// Its URL.
        server: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Somebody answers who is not the cluster.
    #[error("the server at {server} is not trusted: {why}")]
    NotTrusted {
        /// Its URL.
        server: String,
        /// What its certificates lack.
        why: String,
    },
    /// The token is worth nothing.
    #[error("the server refuses the token: it is wrong or over; `carob token create` on the server makes another")]
    Token,
    /// A request for a certificate came to a bad end.
    #[error("the certificate {name} was not signed: {why}")]
    NotSigned {
        /// The CertificateSigningRequest.
        name: String,
        /// What the cluster said.
        why: String,
    },
    /// The saved certificate is over.
    #[error("the certificate of node {0} is over; join again with --token and --ca-hash")]
    Over(String),
    /// The server does not take the saved certificate.
    #[error(
        "the server at {server} refuses the certificate of node {name}: {alert:?}; see that this machine's clock is right, or join again with --token and --ca-hash"
    )]
    Refused {
        /// Its URL.
        server: String,
        /// The node.
        name: String,
        /// What the server says to it.
        alert: rustls::AlertDescription,
    },
    /// There is no saved certificate.
    #[error(
        "node {0} has no certificate yet; join with --token and --ca-hash, as `carob token create` on the server prints them"
    )]
    NoneYet(String),
    /// The saved certificate is another node's.
    #[error("{} holds the identity of {found}, and not of node {name}; choose another --data-dir, or that --name", folder.display())]
    OtherNode {
        /// Where the identity is.
        folder: std::path::PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        name: String,
    },
    /// Keys and certificates on disk.
    #[error(transparent)]
    Pki(#[from] carob_pki::Error),
    /// Keys and certificates in TLS.
    #[error("the node's certificate cannot be used: {0}")]
    Tls(#[from] rustls::Error),
    /// The API.
    #[error("the API server answers: {}", crate::errors::said(.0))]
    Api(#[from] kube::Error),
}
