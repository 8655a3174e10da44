use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::request::names_of;
use crate::{Error, Names, files};

const KEY_BEGINS: &str = "-----BEGIN PRIVATE KEY-----";

/// A certificate and the key that belongs to it, both as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS #8.
    pub key: String,
}

/// From when until when a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Its first moment.
    pub not_before: SystemTime,
    /// Its last moment.
    pub not_after: SystemTime,
}

impl KeyPair {
    /// Writes both into one file, private to its owner, so that a crash never leaves a certificate with another's key.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        files::write_private(path, &format!("{}{}", self.certificate, self.key))
    }

    /// Reads what [`KeyPair::save`] wrote; `None` if there is no such file.
    pub fn load(path: &Path) -> Result<Option<Self>, Error> {
        let Some(text) = files::read(path)? else { return Ok(None) };
        let unusable = || Error::UnusablePair { path: path.to_owned() };
        let (certificate, key) = text.split_at(text.find(KEY_BEGINS).ok_or_else(unusable)?);
        let pair = Self { certificate: certificate.to_owned(), key: key.to_owned() };
        pair.validity().map_err(|_| unusable())?;
        Ok(Some(pair))
    }

    /// Whom the certificate is about: its subject's common name.
    pub fn user(&self) -> Result<String, Error> {
        let der = der_of(&self.certificate)?;
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| Error::NoCertificate)?;
        let name = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        Ok(name.unwrap_or_default().to_owned())
    }

    /// The names and addresses that the certificate vouches for.
    pub fn names(&self) -> Result<Names, Error> {
        let der = der_of(&self.certificate)?;
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| Error::NoCertificate)?;
        let alternatives = certificate.subject_alternative_name().map_err(|_| Error::NoCertificate)?;
        Ok(alternatives.map(|names| names_of(&names.value.general_names).0).unwrap_or_default())
    }

    /// From when until when the certificate is good.
    pub fn validity(&self) -> Result<Validity, Error> {
        let der = der_of(&self.certificate)?;
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| Error::NoCertificate)?;
        let time = |seconds: i64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap_or(0));
        let validity = certificate.validity();
        let (not_before, not_after) = (time(validity.not_before.timestamp()), time(validity.not_after.timestamp()));
        Ok(Validity { not_before, not_after })
    }
}

/// Does not show the key.
impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// The groups of whoever a certificate (in DER) is about: its subject's organizations.
pub fn groups(certificate: &[u8]) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let organizations = certificate.subject().iter_organization();
    organizations.filter_map(|name| name.as_str().ok()).map(str::to_owned).collect()
}

/// A certificate in DER as PEM.
pub fn pem(certificate: &[u8]) -> String {
    let body = STANDARD.encode(certificate);
    let lines = body.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line));
    let lines: Vec<_> = lines.collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// The first certificate of a PEM text.
pub(crate) fn der_of(pem: &str) -> Result<Vec<u8>, Error> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|_| Error::NoCertificate)?;
    Ok(pem.contents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Authority;

    #[test]
    fn a_saved_pair_is_whole_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.pem");
        assert!(KeyPair::load(&path).unwrap().is_none());
        let now = SystemTime::now();
        let authority = Authority::generate("ca", now).unwrap();
        let pair = authority.client("someone", "people", now, Duration::from_secs(60)).unwrap();
        pair.save(&path).unwrap();
        assert_eq!(KeyPair::load(&path).unwrap().unwrap(), pair);
        let der = der_of(&pair.certificate).unwrap();
        assert_eq!((der_of(&pem(&der)).unwrap(), groups(&der)), (der, vec!["people".to_owned()]));
        assert_eq!((pair.user().unwrap().as_str(), pair.names().unwrap()), ("someone", Names::default()));
        let validity = pair.validity().unwrap();
        assert!(validity.not_before < now && now < validity.not_after);
        for damaged in ["", &pair.certificate, &pair.key] {
            std::fs::write(&path, damaged).unwrap();
            assert!(matches!(KeyPair::load(&path), Err(Error::UnusablePair { .. })), "{damaged}");
        }
    }
}
