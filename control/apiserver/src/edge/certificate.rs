//! From a client certificate to who asks.

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::Identity;

/// The common name is the user, each organization a group. The chain was verified by rustls before.
pub(super) fn identity(chain: &[CertificateDer<'_>]) -> Option<Identity> {
    let (_, certificate) = X509Certificate::from_der(chain.first()?).ok()?;
    let subject = certificate.subject();
    let user = Identity::user(subject.iter_common_name().next()?.as_str().ok()?);
    let groups = subject.iter_organization().filter_map(|name| name.as_str().ok());
    Some(groups.fold(user, Identity::group).group(Identity::AUTHENTICATED))
}
