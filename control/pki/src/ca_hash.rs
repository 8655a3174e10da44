use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::Error;
use crate::pair::der_of;

const SCHEME: &str = "sha256:";

/// What a newcomer knows of the cluster's authority beforehand: the SHA-256 of its public key's SubjectPublicKeyInfo, as
/// kubeadm's `--discovery-token-ca-cert-hash` has it (RFC 7469, section 2.4). Written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaHash([u8; 32]);

/// What is wrong with a written hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not the hash of a certificate authority: `sha256:` and 64 hexadecimal digits, as `carob token create` prints it"
)]
pub struct CaHashError(String);

impl CaHash {
    /// The hash of an authority's certificate in PEM.
    pub fn of_pem(certificate: &str) -> Result<Self, Error> {
        Self::of_der(&der_of(certificate)?).ok_or(Error::NoCertificate)
    }

    /// The hash of an authority's certificate in DER; `None` if it is no certificate.
    pub fn of_der(certificate: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let hash = digest(&SHA256, certificate.public_key().raw);
        Some(Self(hash.as_ref().try_into().ok()?))
    }
}

impl fmt::Display for CaHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for CaHash {
    type Err = CaHashError;

    fn from_str(text: &str) -> Result<Self, CaHashError> {
        let digits = text
            .strip_prefix(SCHEME)
            .filter(|digits| digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let byte = |digits: &str, at: usize| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok();
        let bytes: Option<Vec<u8>> = digits.and_then(|digits| (0..32).map(|at| byte(digits, at)).collect());
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| CaHashError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::Authority;

    #[test]
    fn an_authority_is_known_by_its_key() {
        let now = SystemTime::now();
        let (ours, other) = (Authority::generate("ca", now).unwrap(), Authority::generate("ca", now).unwrap());
        let hash = CaHash::of_pem(ours.certificate()).unwrap();
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_ne!(CaHash::of_pem(other.certificate()).unwrap(), hash);
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let digits = "ab".repeat(32);
        for text in [
            digits.clone(),
            format!("sha1:{digits}"),
            format!("sha256:{}", &digits[1..]),
            format!("sha256:+{}", &digits[1..]),
            "sha256:".into(),
        ] {
            assert!(text.parse::<CaHash>().is_err(), "{text}");
        }
    }
}
