//! Which certificate a client sees, by the name that it asks for (SNI).

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::rules::{Host, Rules};
use crate::table::ObjectName;

/// HTTP/2 first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// The name in the certificate that is shown where there is no other.
const DEFAULT_NAME: &str = "carob.ingress.default";

/// Why a Secret is no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    #[error("its data has no {0}; a Secret of type kubernetes.io/tls has tls.crt and tls.key")]
    Missing(&'static str),
    #[error("its {0} is no PEM: {1}")]
    Pem(&'static str, rustls::pki_types::pem::Error),
    #[error("its tls.crt holds no certificate")]
    Empty,
    #[error("its certificate and key cannot be used together: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The certificate and key in a Secret.
pub(crate) fn read(secret: &Secret) -> Result<CertifiedKey, CertificateError> {
    let field = |name: &'static str| {
        let data = secret.data.as_ref().and_then(|data| data.get(name));
        data.map(|bytes| bytes.0.as_slice()).ok_or(CertificateError::Missing(name))
    };
    let (certificates, key) = (field("tls.crt")?, field("tls.key")?);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates).collect();
    let chain = chain.map_err(|error| CertificateError::Pem("tls.crt", error))?;
    if chain.is_empty() {
        return Err(CertificateError::Empty);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| CertificateError::Pem("tls.key", error))?;
    Ok(CertifiedKey::from_der(chain, key, &ring::default_provider())?)
}

/// The hosts that certificates are for, and in which Secret each is.
#[derive(Debug, Default)]
pub(crate) struct Names {
    exact: HashMap<String, ObjectName>,
    /// By what stands behind `*.`
    wildcard: HashMap<String, ObjectName>,
}

impl Names {
    /// Of these Ingresses, the oldest first: who says it first has it.
    pub(crate) fn new<'a>(ingresses: impl IntoIterator<Item = &'a Rules>) -> Names {
        let mut names = Names::default();
        for tls in ingresses.into_iter().flat_map(|rules| &rules.tls) {
            for host in &tls.hosts {
                let (map, name) = match host {
                    Host::Exact(name) => (&mut names.exact, name),
                    Host::Wildcard(parent) => (&mut names.wildcard, parent),
                    // Nobody can ask for a certificate of every name.
                    Host::Any => continue,
                };
                map.entry(name.clone()).or_insert_with(|| tls.secret.clone());
            }
        }
        names
    }

    /// The Secrets for a name, the best first.
    fn of(&self, name: &str) -> impl Iterator<Item = &ObjectName> {
        let wildcard = name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
        self.exact.get(name).into_iter().chain(wildcard)
    }
}

/// The certificates that there are now. Cloning shares them.
#[derive(Debug, Clone)]
pub(crate) struct Certificates {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    names: RwLock<Names>,
    keys: RwLock<HashMap<ObjectName, Arc<CertifiedKey>>>,
    default: Arc<CertifiedKey>,
}

impl Certificates {
    /// None but the default, which is new each time and signed by itself.
    ///
    /// # Errors
    /// If no key can be made.
    pub(crate) fn new() -> Result<Certificates, rcgen::Error> {
        let made = rcgen::generate_simple_self_signed([DEFAULT_NAME.to_owned()])?;
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())
            .map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
        let chain = vec![made.cert.der().clone()];
        let default = CertifiedKey::from_der(chain, key, &ring::default_provider());
        let default = Arc::new(default.map_err(|_| rcgen::Error::CouldNotParseKeyPair)?);
        Ok(Certificates { shared: Arc::new(Shared { names: RwLock::default(), keys: RwLock::default(), default }) })
    }

    /// From now on these names mean these Secrets.
    pub(crate) fn name(&self, names: Names) {
        *self.shared.names.write() = names;
    }

    /// From now on the Secret holds this certificate, or none. Connections that are open keep theirs.
    pub(crate) fn put(&self, secret: ObjectName, key: Option<CertifiedKey>) {
        let mut keys = self.shared.keys.write();
        match key {
            Some(key) => keys.insert(secret, Arc::new(key)),
            None => keys.remove(&secret),
        };
    }

    /// The certificate for a name, in whatever case it is asked for.
    pub(crate) fn of(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let name = name.map(str::to_ascii_lowercase).unwrap_or_default();
        let (names, keys) = (self.shared.names.read(), self.shared.keys.read());
        let found = names.of(&name).find_map(|secret| keys.get(secret));
        found.unwrap_or(&self.shared.default).clone()
    }

    /// How connections are served with these certificates.
    ///
    /// # Errors
    /// If the provider knows no version of TLS.
    pub(crate) fn server_config(&self) -> Result<ServerConfig, rustls::Error> {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
        let mut config = builder.with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        Ok(config)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.of(hello.server_name()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;
    use crate::ingress::rules;

    fn secret(certificate: &str, key: &str) -> Secret {
        from_value(json!({"stringData": {}, "data": {
            "tls.crt": base64(certificate), "tls.key": base64(key),
        }}))
        .unwrap()
    }

    fn base64(text: &str) -> serde_json::Value {
        serde_json::to_value(k8s_openapi::ByteString(text.as_bytes().to_vec())).unwrap()
    }

    fn made(name: &str) -> Secret {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        secret(&made.cert.pem(), &made.signing_key.serialize_pem())
    }

    fn tls(name: &str, hosts: &[&str], secret: &str) -> Rules {
        let object = json!({
            "metadata": {"namespace": "default", "name": name},
            "spec": {"rules": [{"host": "of-rule.example"}], "tls": [{"hosts": hosts, "secretName": secret}]},
        });
        rules::read(&from_value(object).unwrap())
    }

    #[test]
    fn a_name_gets_the_certificate_of_the_oldest_ingress_that_names_it() {
        let names = Names::new(&[
            tls("old", &["a.example", "*.b.example"], "old"),
            tls("new", &["a.example", "c.b.example", "d.example"], "new"),
            tls("bare", &[], "bare"),
        ]);
        let cases = [
            ("a.example", vec!["old"]),
            ("c.b.example", vec!["new", "old"]),
            ("x.b.example", vec!["old"]),
            ("x.y.b.example", vec![]),
            ("b.example", vec![]),
            ("d.example", vec!["new"]),
            ("of-rule.example", vec!["bare"]),
        ];
        for (name, expected) in cases {
            let found: Vec<&str> = names.of(name).map(|secret| &*secret.name).collect();
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn a_certificate_is_shown_from_when_it_is_there_until_it_is_gone() {
        let certificates = Certificates::new().unwrap();
        certificates.name(Names::new(&[tls("i", &["a.example"], "s")]));
        let shown = |name: Option<&str>| certificates.of(name).cert[0].clone();
        let default = shown(None);
        assert_eq!(shown(Some("a.example")), default, "the Secret is not there yet");
        let name = ObjectName { namespace: "default".into(), name: "s".into() };
        let (first, second) = (read(&made("a.example")).unwrap(), read(&made("a.example")).unwrap());
        let ders = (first.cert[0].clone(), second.cert[0].clone());
        certificates.put(name.clone(), Some(first));
        assert_eq!(shown(Some("A.Example")), ders.0);
        assert_eq!((shown(Some("b.example")), shown(None)), (default.clone(), default.clone()));
        certificates.put(name.clone(), Some(second));
        assert_eq!(shown(Some("a.example")), ders.1);
        certificates.put(name, None);
        assert_eq!(shown(Some("a.example")), default);
    }

    #[test]
    fn what_is_no_certificate_is_told_apart() {
        let (one, other) = (made("a"), made("b"));
        let text =
            |secret: &Secret, field: &str| String::from_utf8(secret.data.as_ref().unwrap()[field].0.clone()).unwrap();
        let mixed = secret(&text(&one, "tls.crt"), &text(&other, "tls.key"));
        let cases = [
            (Secret::default(), "has no tls.crt"),
            (secret("", &text(&one, "tls.key")), "holds no certificate"),
            (secret(&text(&one, "tls.crt"), "x"), "its tls.key is no PEM"),
            (mixed, "cannot be used together"),
        ];
        for (secret, told) in cases {
            let error = read(&secret).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
        assert!(read(&one).is_ok());
    }
}
