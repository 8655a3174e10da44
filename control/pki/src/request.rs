use rcgen::{CertificateParams, CertificateSigningRequestParams, IsCa};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

use crate::authority::subject;
use crate::{Error, Names};

/// A request for a certificate (PKCS #10, RFC 2986), whose signature proves that the asker has the key.
pub struct CertificateRequest {
    /// The subject's common name; empty if it has none.
    pub common_name: String,
    /// The subject's organizations.
    pub organizations: Vec<String>,
    /// The names and addresses that it is to vouch for.
    pub names: Names,
    /// Whether it is to vouch for something else, too, such as a mail address or a URI.
    pub other_names: bool,
    parsed: CertificateSigningRequestParams,
}

/// Why a request cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It is not in PEM.
    #[error("PEM block type must be CERTIFICATE REQUEST")]
    NoRequest,
    /// It is damaged, or asks for what this authority does not know, or its signature is not by its key.
    #[error("cannot read the certificate request: {0}")]
    Unreadable(String),
    /// It would become an authority.
    #[error("a certificate of an authority is not signed")]
    Authority,
    /// Something stands in its subject more than once.
    #[error("a subject that names the same attribute more than once is not signed")]
    Repeated,
}

/// A request together with the key that it is about.
pub struct Requested {
    /// The request, as PEM.
    pub request: String,
    /// The private key, PKCS #8 as PEM. It never leaves whoever asks.
    pub key: String,
}

impl CertificateRequest {
    /// Makes a new key and asks for a certificate of it: for this user, a member of this group, at these names.
    pub fn create(user: &str, group: &str, names: &Names) -> Result<Requested, Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(user, Some(group));
        params.subject_alt_names = names.alternatives()?;
        let key = rcgen::KeyPair::generate()?;
        Ok(Requested { request: params.serialize_request(&key)?.pem()?, key: key.serialize_pem() })
    }

    /// Reads a request in PEM and checks its signature.
    pub fn parse(pem: &str) -> Result<Self, RequestError> {
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|_| RequestError::NoRequest)?;
        if !matches!(pem.label.as_str(), "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST") {
            return Err(RequestError::NoRequest);
        }
        let der = pem.contents.as_slice();
        let unreadable = |error: &dyn std::fmt::Display| RequestError::Unreadable(error.to_string());
        let parsed = CertificateSigningRequestParams::from_der(&der.into()).map_err(|error| unreadable(&error))?;
        if !matches!(parsed.params.is_ca, IsCa::NoCa | IsCa::ExplicitNoCa) {
            return Err(RequestError::Authority);
        }
        let (_, request) = X509CertificationRequest::from_der(der).map_err(|error| unreadable(&error))?;
        let subject = &request.certification_request_info.subject;
        // What signs keeps one value of each attribute: another subject than the one that was judged must not come out.
        if subject.iter_attributes().count() != parsed.params.distinguished_name.iter().count() {
            return Err(RequestError::Repeated);
        }
        let text = |name: &x509_parser::x509::AttributeTypeAndValue<'_>| name.as_str().unwrap_or_default().to_owned();
        let alternatives = request.requested_extensions().into_iter().flatten().find_map(|extension| match extension {
            ParsedExtension::SubjectAlternativeName(names) => Some(names.general_names.as_slice()),
            _ => None,
        });
        let (names, other_names) = names_of(alternatives.unwrap_or_default());
        Ok(Self {
            common_name: subject.iter_common_name().next().map(text).unwrap_or_default(),
            organizations: subject.iter_organization().map(text).collect(),
            names,
            other_names,
            parsed,
        })
    }

    pub(crate) fn params(&self) -> &CertificateParams {
        &self.parsed.params
    }

    pub(crate) fn public_key(&self) -> &rcgen::PublicKey {
        &self.parsed.public_key
    }
}

/// Names and addresses, and whether there is something else.
pub(crate) fn names_of(alternatives: &[GeneralName<'_>]) -> (Names, bool) {
    let (mut names, mut others) = (Names::default(), false);
    for name in alternatives {
        match name {
            GeneralName::DNSName(dns) => names.dns.push((*dns).to_owned()),
            GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
                (Ok(v4), _) => names.ips.push(v4.into()),
                (_, Ok(v6)) => names.ips.push(v6.into()),
                _ => others = true,
            },
            _ => others = true,
        }
    }
    (names, others)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::{Authority, KeyPair, Usage};

    fn names() -> Names {
        Names { dns: vec!["n1".into()], ips: vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()] }
    }

    #[test]
    fn a_request_says_who_asks_and_for_what() {
        let asked = CertificateRequest::create("system:node:n1", "system:nodes", &names()).unwrap();
        let read = CertificateRequest::parse(&asked.request).unwrap();
        assert_eq!(
            (read.common_name.as_str(), read.organizations),
            ("system:node:n1", vec!["system:nodes".to_owned()])
        );
        assert_eq!((read.names, read.other_names), (names(), false));
    }

    #[test]
    fn what_is_signed_fits_the_key_of_who_asked() {
        let now = SystemTime::now();
        let authority = Authority::generate("ca", now).unwrap();
        let asked = CertificateRequest::create("system:node:n1", "system:nodes", &names()).unwrap();
        let request = CertificateRequest::parse(&asked.request).unwrap();
        let usages = [Usage::DigitalSignature, Usage::ServerAuth];
        let certificate = authority.sign_request(&request, &usages, now, Duration::from_secs(3600)).unwrap();
        let der = crate::pair::der_of(&certificate).unwrap();
        let (_, read) = x509_parser::prelude::X509Certificate::from_der(&der).unwrap();
        let key = rcgen::KeyPair::from_pem(&asked.key).unwrap();
        assert_eq!(read.public_key().raw, rcgen::PublicKeyData::subject_public_key_info(&key));
        assert!(!read.is_ca());
        let extended = read.extended_key_usage().unwrap().unwrap().value;
        assert!(extended.server_auth && !extended.client_auth);
        let validity = KeyPair { certificate, key: asked.key }.validity().unwrap();
        assert!(validity.not_after > now && validity.not_after <= now + Duration::from_secs(3600));
    }

    #[test]
    fn nothing_of_a_request_can_be_changed() {
        let asked = CertificateRequest::create("a", "b", &Names::default()).unwrap();
        let pem = asked.request.replace("CERTIFICATE REQUEST", "CERTIFICATE");
        assert!(matches!(CertificateRequest::parse(&pem), Err(RequestError::NoRequest)));
        let other = CertificateRequest::create("a", "b", &Names::default()).unwrap();
        let (ours, theirs): (Vec<&str>, Vec<&str>) = (asked.request.lines().collect(), other.request.lines().collect());
        // The body of one with the signature at the end of another.
        let mut mixed = ours[..ours.len() - 2].to_vec();
        mixed.extend(&theirs[theirs.len() - 2..]);
        assert!(matches!(CertificateRequest::parse(&mixed.join("\n")), Err(RequestError::Unreadable(_))));
        assert!(matches!(CertificateRequest::parse("nothing"), Err(RequestError::NoRequest)));
    }

    #[test]
    fn no_authority_is_made_by_asking() {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject("a", None);
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let request = params.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().pem().unwrap();
        assert!(matches!(CertificateRequest::parse(&request), Err(RequestError::Authority)));
    }
}
