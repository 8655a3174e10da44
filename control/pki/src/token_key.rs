use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::PublicKeyData as _;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};

use crate::{Error, files};

/// An uncompressed point begins with this byte, then come both coordinates.
const COORDINATE: usize = 32;

/// The key by which the cluster signs the tokens of ServiceAccounts: JSON Web Signatures (RFC 7515) by ES256, in compact
/// form. It reads no claims: those are the API server's.
pub struct TokenKey {
    pair: EcdsaKeyPair,
    pem: String,
    id: String,
    /// The encoded header of every token of this key.
    header: String,
    random: SystemRandom,
}

/// What others need to check the key's signatures, as it stands in a JSON Web Key (RFC 7517, 7518 section 6.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// The key's id (`kid`).
    pub id: String,
    /// The first coordinate on P-256, base64url.
    pub x: String,
    /// The second coordinate.
    pub y: String,
}

impl TokenKey {
    /// Makes a new key.
    pub fn generate() -> Result<Self, Error> {
        Ok(Self::of(&rcgen::KeyPair::generate()?)?)
    }

    /// Takes up the key in the file, or makes one there.
    pub(crate) fn load_or_create(path: &Path) -> Result<Self, Error> {
        let Some(pem) = files::read(path)? else {
            let key = Self::generate()?;
            files::write_private(path, &key.pem)?;
            return Ok(key);
        };
        let held = rcgen::KeyPair::from_pem(&pem).and_then(|pair| Self::of(&pair));
        held.map_err(|source| Error::UnusableTokenKey { path: path.to_owned(), source })
    }

    fn of(held: &rcgen::KeyPair) -> Result<Self, rcgen::Error> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, held.serialized_der(), &random)
            .map_err(|refused| rcgen::Error::RingKeyRejected(refused.to_string()))?;
        // As Kubernetes names its keys: by the digest of the public one.
        let id = URL_SAFE_NO_PAD.encode(digest(&SHA256, &held.subject_public_key_info()));
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"ES256","kid":"{id}"}}"#));
        Ok(Self { pair, pem: held.serialize_pem(), id, header, random })
    }

    /// A token that says `claims`.
    pub fn sign(&self, claims: &[u8]) -> Result<String, Error> {
        let said = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(claims));
        let signature = self.pair.sign(&self.random, said.as_bytes()).map_err(|_| Error::NoRandomness)?;
        Ok(format!("{said}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// What a token claims, if this key has signed it. The header must be the very one that this key writes, so that nobody
    /// can choose another algorithm.
    pub fn verify(&self, token: &str) -> Option<Vec<u8>> {
        let (said, signature) = token.rsplit_once('.')?;
        let (header, claims) = said.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok().filter(|_| header == self.header)?;
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key());
        key.verify(said.as_bytes(), &signature).ok()?;
        URL_SAFE_NO_PAD.decode(claims).ok()
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(COORDINATE);
        PublicKey { id: self.id.clone(), x: URL_SAFE_NO_PAD.encode(x), y: URL_SAFE_NO_PAD.encode(y) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_knows_its_own_tokens_only() {
        let (ours, other) = (TokenKey::generate().unwrap(), TokenKey::generate().unwrap());
        let token = ours.sign(br#"{"sub":"a"}"#).unwrap();
        assert_eq!(ours.verify(&token).unwrap(), br#"{"sub":"a"}"#);
        assert_eq!(other.verify(&token), None);
    }

    #[test]
    fn nothing_of_a_token_can_be_changed() {
        let key = TokenKey::generate().unwrap();
        let token = key.sign(b"claims").unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        let claims = URL_SAFE_NO_PAD.encode("other claims");
        let tampered = [
            String::new(),
            "a.b".to_owned(),
            format!("{unsigned}.{}.", parts[1]),
            format!("{unsigned}.{}.{}", parts[1], parts[2]),
            format!("{}.{claims}.{}", parts[0], parts[2]),
            format!("{}.{}.{}", parts[0], parts[1], &parts[2][..80]),
            format!("{token}.{}", parts[2]),
        ];
        for token in tampered {
            assert_eq!(key.verify(&token), None, "{token}");
        }
    }

    #[test]
    fn the_key_on_disk_is_the_same_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sa.key");
        let token = TokenKey::load_or_create(&path).unwrap().sign(b"claims").unwrap();
        assert_eq!(TokenKey::load_or_create(&path).unwrap().verify(&token).unwrap(), b"claims");
        std::fs::write(&path, "damaged").unwrap();
        assert!(matches!(TokenKey::load_or_create(&path), Err(Error::UnusableTokenKey { .. })));
    }
}
