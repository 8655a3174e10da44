//! Who a certificate says its holder is.

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::NodeName;

/// What stands before a node's name in the common name of its certificate, and the group that it is in:
/// <https://kubernetes.io/docs/reference/access-authn-authz/node/>.
const USER_PREFIX: &str = "system:node:";
const GROUP: &str = "system:nodes";

/// Why a certificate is not that of the node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The certificate cannot be read.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// It is somebody else's than a node's.
    #[error(
        "the certificate is that of {subject:?}, which is no node: CN=system:node:NAME and O=system:nodes are expected"
    )]
    NoNode {
        /// Its subject.
        subject: String,
    },
    /// It is another node's.
    #[error("the node at this address is {found}, not {expected}")]
    OtherNode {
        /// Who was to be met.
        expected: NodeName,
        /// Who was met.
        found: NodeName,
    },
}

/// The node whose certificate this is. The certificate itself has to be verified elsewhere.
pub(crate) fn node(certificate: &CertificateDer<'_>) -> Result<NodeName, IdentityError> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| IdentityError::Unreadable)?;
    let subject = certificate.subject();
    let is_in_group = subject.iter_organization().any(|group| group.as_str() == Ok(GROUP));
    let mut users = subject.iter_common_name();
    // With two names it would depend on the reader who it is.
    let user = users.next().filter(|_| users.next().is_none());
    let name = user.and_then(|user| user.as_str().ok()?.strip_prefix(USER_PREFIX));
    match name.filter(|name| is_in_group && !name.is_empty()) {
        Some(name) => Ok(NodeName::from(name)),
        None => Err(IdentityError::NoNode { subject: subject.to_string() }),
    }
}

/// Whether the certificate is that of `expected`.
pub(crate) fn expect(certificate: &CertificateDer<'_>, expected: &str) -> Result<(), IdentityError> {
    match node(certificate)? {
        found if &*found == expected => Ok(()),
        found => Err(IdentityError::OtherNode { expected: expected.into(), found }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use carob_pki::Authority;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn a_node_is_whoever_its_certificate_names_in_the_group_of_nodes() {
        let authority = Authority::generate("test", SystemTime::now()).unwrap();
        for (user, group, found) in [
            ("system:node:worker-1", "system:nodes", Some("worker-1")),
            ("system:node:", "system:nodes", None),
            ("worker-1", "system:nodes", None),
            ("system:node:worker-1", "system:masters", None),
        ] {
            let pair = authority.client(user, group, SystemTime::now(), Duration::from_secs(60)).unwrap();
            let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
            assert_eq!(node(&certificate).ok().as_deref(), found, "{user} {group}");
        }
    }
}
