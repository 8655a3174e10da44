//! An API server on a real socket, with an authority of its own.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use carob_pki::{Authority, KeyPair, Names};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

use super::Server;

const HOUR: Duration = Duration::from_secs(3600);

pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    authority: Authority,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
}

impl Listening {
    pub(crate) async fn start(server: &Server) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority = Authority::generate("carob", SystemTime::now()).unwrap();
        let names = Names { dns: vec!["localhost".to_owned()], ips: vec!["127.0.0.1".parse().unwrap()] };
        let pair = authority.server("kube-apiserver", &names, SystemTime::now(), HOUR).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (api, shutdown) = (server.api.clone(), CancellationToken::new());
        let (tls, stop) = (server_config(&authority, &pair), shutdown.clone());
        let serving = tokio::spawn(async move { api.serve(listener, tls, stop).await });
        Self { address, authority, shutdown, serving }
    }

    /// How a client with this certificate reaches the server.
    pub(crate) async fn config(&self, pair: &KeyPair) -> kube::Config {
        let text = carob_pki::kubeconfig(&format!("https://{}", self.address), self.authority.certificate(), pair);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let kubeconfig = Kubeconfig::read_from(file.path()).unwrap();
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        // A test wants to see the first answer: a refusal would be asked about again for minutes.
        config.default_retry = false;
        config
    }

    /// How a client that says who it is in another way, or not at all, reaches the server.
    pub(crate) async fn config_with(&self, auth_info: AuthInfo) -> kube::Config {
        let mut config = self.config(&self.admin()).await;
        config.auth_info = auth_info;
        config
    }

    /// A connection of the administrator's, with nothing asked on it yet.
    pub(crate) async fn connect(&self) -> TlsStream<TcpStream> {
        let (mut roots, pair) = (RootCertStore::empty(), self.admin());
        roots.add(CertificateDer::from_pem_slice(self.authority.certificate().as_bytes()).unwrap()).unwrap();
        let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_client_auth_cert(chain, key).unwrap();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }

    pub(crate) fn admin(&self) -> KeyPair {
        administrator(&self.authority)
    }

    /// A certificate for somebody of this group.
    pub(crate) fn member(&self, group: &str) -> KeyPair {
        self.authority.client("someone", group, SystemTime::now(), HOUR).unwrap()
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap();
    }
}

/// A certificate of any authority for the administrator.
pub(crate) fn administrator(authority: &Authority) -> KeyPair {
    authority.client("admin", "system:masters", SystemTime::now(), HOUR).unwrap()
}

fn server_config(authority: &Authority, pair: &KeyPair) -> ServerConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.certificate().as_bytes()).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated().build().unwrap();
    let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    ServerConfig::builder().with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap()
}
