//! TLS on loopback: the certificates, a bare server, and a client.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration, time::SystemTime};

use anyhow::{Result, ensure};
use axum::body::Body;
use bytes::Bytes;
use carob_pki::{Authority, KeyPair, Names};
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, client::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::measure::Client;

const LIFE: Duration = Duration::from_secs(24 * 3600);

/// Both sides of mutual TLS.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) server: ServerConfig,
    client: Arc<ClientConfig>,
}

impl Tls {
    pub(crate) fn new() -> Result<Self> {
        let (now, provider) = (SystemTime::now(), Arc::new(rustls::crypto::ring::default_provider()));
        let authority = Authority::generate("bench", now)?;
        let names = Names { dns: vec!["localhost".into()], ips: vec![] };
        let (server_chain, server_key) = parse(&authority.server("localhost", &names, now, LIFE)?)?;
        let (client_chain, client_key) = parse(&authority.client("bench", "system:masters", now, LIFE)?)?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.certificate().as_bytes())?)?;
        let roots = Arc::new(roots);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .allow_unauthenticated()
            .build()?;
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(server_chain, server_key)?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(client_chain, client_key)?;
        Ok(Self { server, client: Arc::new(client) })
    }

    /// A connection of its own for each of `count` clients that GET `path`.
    pub(crate) async fn clients(&self, count: usize, address: SocketAddr, path: &str) -> Result<Vec<Getter>> {
        let connect = (0..count).map(|_| Getter::connect(self.client.clone(), address, path.to_owned()));
        futures::future::try_join_all(connect).await
    }
}

fn parse(pair: &KeyPair) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).collect::<Result<_, _>>()?;
    Ok((chain, PrivateKeyDer::from_pem_slice(pair.key.as_bytes())?))
}

/// Answers every request with a body that `answer` makes: what hyper can do when there is nothing to decide.
pub(crate) async fn serve_bare(
    listener: TcpListener,
    tls: ServerConfig,
    answer: impl Fn() -> Body + Clone + Send + Sync + 'static,
) -> Result<()> {
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (acceptor, answer) = (acceptor.clone(), answer.clone());
        connections.spawn(async move {
            let stream = acceptor.accept(stream).await?;
            let service = service_fn(move |_| {
                let response = http::Response::new(answer());
                async move { Ok::<_, Infallible>(response) }
            });
            let builder = auto::Builder::new(TokioExecutor::new());
            let served = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
            served.map_err(anyhow::Error::from_boxed)
        });
    }
}

/// Gets a path again and again.
pub(crate) struct Getter {
    connection: http1::SendRequest<Empty<Bytes>>,
    path: String,
    /// Drives the connection; ends with it.
    _driver: JoinSet<hyper::Result<()>>,
}

impl Getter {
    async fn connect(tls: Arc<ClientConfig>, address: SocketAddr, path: String) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream = TlsConnector::from(tls).connect(ServerName::try_from("localhost")?, stream).await?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
        let mut drivers = JoinSet::new();
        drivers.spawn(driver);
        Ok(Self { connection, path, _driver: drivers })
    }

    /// Asks for the path, and returns what is sent as it comes.
    pub(crate) async fn open(&mut self) -> Result<Incoming> {
        let request = Request::get(&self.path).header("host", "localhost").body(Empty::new())?;
        let response = self.connection.send_request(request).await?;
        ensure!(response.status().is_success(), "{} says {}", self.path, response.status());
        Ok(response.into_body())
    }

    /// Gets all of it.
    pub(crate) async fn get(&mut self) -> Result<Bytes> {
        Ok(self.open().await?.collect().await?.to_bytes())
    }
}

impl Client for Getter {
    async fn ask(&mut self, _: u64) -> Result<()> {
        let mut body = self.open().await?;
        // The frames are dropped as they come: what a client does with them is not measured.
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok(())
    }
}
