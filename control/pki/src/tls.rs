//! The client's side of TLS, for those who decide by themselves whom they trust.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

/// What a server shows of itself.
#[derive(Debug)]
pub struct Shown<'a> {
    /// Its own certificate.
    pub certificate: &'a CertificateDer<'a>,
    /// Those that are to vouch for it.
    pub others: &'a [CertificateDer<'a>],
    /// Whom the client means.
    pub name: &'a ServerName<'a>,
    /// When it is shown.
    pub now: UnixTime,
}

/// Trusts a server of which `trusts` does not complain, if it holds the key of its certificate.
///
/// # Errors
/// What rustls says of its versions and algorithms.
pub fn client_trusting(
    trusts: impl Fn(&Shown<'_>) -> Result<(), Error> + Send + Sync + 'static,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let verifier = Arc::new(Verifier { trusts, provider });
    Ok(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Trusts anybody: for servers that are known by the way on which they were reached.
///
/// # Errors
/// As [`client_trusting`].
pub fn client_of_anyone() -> Result<Arc<ClientConfig>, Error> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, Error>> = OnceLock::new();
    CONFIG.get_or_init(|| client_trusting(|_| Ok(())).map(Arc::new)).clone()
}

struct Verifier<F> {
    trusts: F,
    provider: Arc<CryptoProvider>,
}

impl<F> fmt::Debug for Verifier<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

impl<F: Fn(&Shown<'_>) -> Result<(), Error> + Send + Sync> ServerCertVerifier for Verifier<F> {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        (self.trusts)(&Shown { certificate, others, name, now })?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use rustls::crypto::ring::sign::any_supported_type;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject;
    use rustls::sign::{CertifiedKey, SingleCertAndKey};
    use rustls::{ClientConnection, ServerConfig, ServerConnection};

    use super::*;
    use crate::{Authority, KeyPair, Names};

    fn pair() -> KeyPair {
        let now = SystemTime::now();
        let authority = Authority::generate("nobody knows it", now).unwrap();
        authority.server("server", &Names::default(), now, Duration::from_secs(60)).unwrap()
    }

    /// A server that shows the certificate of one pair and holds the key of one.
    fn server(shown: &KeyPair, held: &KeyPair) -> ServerConnection {
        let certificate = CertificateDer::from_pem_slice(shown.certificate.as_bytes()).unwrap();
        let key = any_supported_type(&PrivateKeyDer::from_pem_slice(held.key.as_bytes()).unwrap()).unwrap();
        let resolver = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        ServerConnection::new(Arc::new(config.with_cert_resolver(Arc::new(resolver)))).unwrap()
    }

    fn handshake(client: Arc<ClientConfig>, mut server: ServerConnection) -> Result<(), Error> {
        let mut client = ClientConnection::new(client, "server".try_into().unwrap())?;
        while client.is_handshaking() {
            let (mut up, mut down) = (Vec::new(), Vec::new());
            client.write_tls(&mut up).unwrap();
            server.read_tls(&mut up.as_slice()).unwrap();
            server.process_new_packets()?;
            server.write_tls(&mut down).unwrap();
            assert!(!up.is_empty() || !down.is_empty(), "the handshake goes on");
            client.read_tls(&mut down.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        Ok(())
    }

    #[test]
    fn anyone_is_trusted_who_holds_the_key_of_what_it_shows() {
        let (one, other) = (pair(), pair());
        assert_eq!(handshake(client_of_anyone().unwrap(), server(&one, &one)), Ok(()));
        let refused = handshake(client_of_anyone().unwrap(), server(&one, &other)).unwrap_err();
        assert!(matches!(refused, Error::InvalidCertificate(_)), "{refused}");
    }

    #[test]
    fn who_is_complained_of_is_not_trusted() {
        let own = pair();
        let complains = |shown: &Shown<'_>| {
            assert!(shown.others.is_empty() && *shown.name == ServerName::try_from("server").unwrap());
            Err(Error::General("a stranger".into()))
        };
        let client = Arc::new(client_trusting(complains).unwrap());
        assert_eq!(handshake(client, server(&own, &own)), Err(Error::General("a stranger".into())));
    }
}
