use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SanType,
};

use crate::Error;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an authority is valid.
const AUTHORITY_LIFE: Duration = DAY.saturating_mul(10 * 365);

/// Certificates are valid from a little before they are made, for peers whose clocks are behind.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// A certificate and the key that belongs to it, both as PEM.
#[derive(Clone)]
pub struct KeyPair {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS #8.
    pub key: String,
}

/// What a serving certificate vouches for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Host names.
    pub dns: Vec<String>,
    /// Addresses.
    pub ips: Vec<IpAddr>,
}

/// A certificate authority.
pub struct Authority {
    certificate: String,
    key: String,
    issuer: Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    /// Makes a new authority, valid for ten years.
    pub fn generate(common_name: &str, now: SystemTime) -> Result<Self, Error> {
        let mut params = params(common_name, None, now, AUTHORITY_LIFE);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = rcgen::KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { certificate, key: key.serialize_pem(), issuer: Issuer::new(params, key) })
    }

    /// Takes up an authority that was made before.
    pub fn from_pem(pair: KeyPair) -> Result<Self, rcgen::Error> {
        let issuer = Issuer::from_ca_cert_pem(&pair.certificate, rcgen::KeyPair::from_pem(&pair.key)?)?;
        Ok(Self { certificate: pair.certificate, key: pair.key, issuer })
    }

    /// The authority's own certificate, as PEM: what clients trust.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The authority's private key, as PEM.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// A certificate by which its holder is `user`, a member of `group`.
    pub fn client(&self, user: &str, group: &str, now: SystemTime, life: Duration) -> Result<KeyPair, Error> {
        let mut params = params(user, Some(group), now, life);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    /// A certificate by which a server proves to be one of `names`.
    pub fn server(&self, common_name: &str, names: &Names, now: SystemTime, life: Duration) -> Result<KeyPair, Error> {
        let mut params = params(common_name, None, now, life);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        for name in &names.dns {
            params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
        }
        params.subject_alt_names.extend(names.ips.iter().copied().map(SanType::IpAddress));
        self.sign(params)
    }

    fn sign(&self, mut params: CertificateParams) -> Result<KeyPair, Error> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = rcgen::KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(KeyPair { certificate, key: key.serialize_pem() })
    }
}

fn params(common_name: &str, organization: Option<&str>, now: SystemTime, life: Duration) -> CertificateParams {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common_name);
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.not_before = (now - CLOCK_SKEW).into();
    params.not_after = (now + life).into();
    params
}
