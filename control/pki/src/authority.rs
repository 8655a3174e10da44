use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SanType, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};

use crate::node::{NODES_GROUP, node_user};
use crate::{CertificateRequest, Error, KeyPair};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an authority is valid.
const AUTHORITY_LIFE: Duration = DAY.saturating_mul(10 * 365);

/// Certificates are valid from a little before they are made, for peers whose clocks are behind.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// What a certificate may be used for (RFC 5280, sections 4.2.1.3 and 4.2.1.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// To sign what is said in a handshake.
    DigitalSignature,
    /// To encipher keys, as RSA does it.
    KeyEncipherment,
    /// To be a TLS client.
    ClientAuth,
    /// To be a TLS server.
    ServerAuth,
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
        params.subject_alt_names = names.alternatives()?;
        self.sign(params)
    }

    /// A certificate by which a node is both client and server: `system:node:NAME` of the group `system:nodes`, at `names`.
    pub fn node(&self, name: &str, names: &Names, now: SystemTime, life: Duration) -> Result<KeyPair, Error> {
        let mut params = params(&node_user(name), Some(NODES_GROUP), now, life);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = names.alternatives()?;
        self.sign(params)
    }

    /// Signs what was asked for: its subject, names and key, for these usages. Whoever calls has judged the request. Answers
    /// the certificate as PEM.
    pub fn sign_request(
        &self,
        request: &CertificateRequest,
        usages: &[Usage],
        now: SystemTime,
        life: Duration,
    ) -> Result<String, Error> {
        let mut params = request.params().clone();
        (params.not_before, params.not_after) = ((now - CLOCK_SKEW).into(), (now + life).into());
        params.serial_number = Some(serial_number()?);
        params.is_ca = IsCa::NoCa;
        params.use_authority_key_identifier_extension = true;
        (params.key_usages, params.extended_key_usages) = (Vec::new(), Vec::new());
        for usage in usages {
            match usage {
                Usage::DigitalSignature => params.key_usages.push(KeyUsagePurpose::DigitalSignature),
                Usage::KeyEncipherment => params.key_usages.push(KeyUsagePurpose::KeyEncipherment),
                Usage::ClientAuth => params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth),
                Usage::ServerAuth => params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth),
            }
        }
        Ok(params.signed_by(request.public_key(), &self.issuer)?.pem())
    }

    fn sign(&self, mut params: CertificateParams) -> Result<KeyPair, Error> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = rcgen::KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(KeyPair { certificate, key: key.serialize_pem() })
    }
}

impl Names {
    pub(crate) fn alternatives(&self) -> Result<Vec<SanType>, Error> {
        let dns = self.dns.iter().map(|name| Ok(SanType::DnsName(name.as_str().try_into()?)));
        dns.chain(self.ips.iter().copied().map(|ip| Ok(SanType::IpAddress(ip)))).collect()
    }
}

/// Positive, and 127 bits of chance (RFC 5280, section 4.1.2.2, allows up to 20 bytes).
fn serial_number() -> Result<SerialNumber, Error> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::NoRandomness)?;
    bytes[0] &= 0x7f;
    Ok(SerialNumber::from_slice(&bytes))
}

pub(crate) fn subject(common_name: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common_name);
    name
}

fn params(common_name: &str, organization: Option<&str>, now: SystemTime, life: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(common_name, organization);
    params.not_before = (now - CLOCK_SKEW).into();
    params.not_after = (now + life).into();
    params
}
