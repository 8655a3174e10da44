use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{Error, files};

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
        let validity = pair.validity().unwrap();
        assert!(validity.not_before < now && now < validity.not_after);
        for damaged in ["", &pair.certificate, &pair.key] {
            std::fs::write(&path, damaged).unwrap();
            assert!(matches!(KeyPair::load(&path), Err(Error::UnusablePair { .. })), "{damaged}");
        }
    }
}
