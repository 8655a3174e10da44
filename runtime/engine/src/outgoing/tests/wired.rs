//! A network whose connections lead to servers of the test.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use carob_net::{
    HttpBound, HttpRoute, HttpService, Network, NetworkError, Receive, TCP_BUFFER, TcpConnection, TcpControl,
    TcpListener, TcpOptions, TcpPort, Traffic, Transmit, UdpSocket,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, ReadHalf, WriteHalf};
use tokio::sync::Notify;

use super::Outgoing;
use crate::cpu::Meter;

#[derive(Clone, Default)]
pub(super) struct Wired {
    names: HashMap<String, Vec<IpAddr>>,
    services: HashMap<SocketAddr, Arc<dyn HttpService>>,
    servers: HashMap<SocketAddr, Server>,
    route: Option<NetworkError>,
    connection: Option<NetworkError>,
    never: bool,
    connections: Arc<AtomicUsize>,
}

/// What is at the other end of a connection.
type Server = Arc<dyn Fn(DuplexStream) -> BoxFuture<'static, ()> + Send + Sync>;

impl Wired {
    pub(super) fn outgoing(self) -> Outgoing {
        Outgoing::new(Arc::new(self), Arc::default(), Meter::of_nobody())
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(super) fn name(mut self, name: &str, ips: &[&str]) -> Wired {
        self.names.insert(name.to_owned(), ips.iter().map(|ip| ip.parse().unwrap()).collect());
        self
    }

    pub(super) fn service(mut self, address: &str, service: Arc<dyn HttpService>) -> Wired {
        self.services.insert(address.parse().unwrap(), service);
        self
    }

    /// Answers with the path, the host and the body, and perhaps a header.
    pub(super) fn server(self, address: &str, header: Option<&'static str>) -> Wired {
        self.with(address, move |stream| serve(stream, header).boxed())
    }

    pub(super) fn tls_server(self, address: &str, certified: &rcgen::CertifiedKey<rcgen::KeyPair>) -> Wired {
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certified.cert.der().clone()], key).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        self.with(address, move |stream| {
            let acceptor = acceptor.clone();
            async move {
                // A client that does not trust it goes away.
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, None).await;
                }
            }
            .boxed()
        })
    }

    /// Says the same to everybody, once they have asked, and closes.
    pub(super) fn says(self, address: &str, answer: &'static str) -> Wired {
        self.with(address, move |mut stream| {
            async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            .boxed()
        })
    }

    pub(super) fn silent(self, address: &str) -> Wired {
        self.with(address, |stream| {
            async move {
                std::future::pending::<()>().await;
                drop(stream);
            }
            .boxed()
        })
    }

    /// Reads until the client has gone, and tells.
    pub(super) fn hears_out(self, address: &str, gone: Arc<Notify>) -> Wired {
        self.with(address, move |mut stream| {
            let gone = gone.clone();
            async move {
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                gone.notify_one();
            }
            .boxed()
        })
    }

    pub(super) fn no_route(mut self, error: NetworkError) -> Wired {
        self.route = Some(error);
        self
    }

    pub(super) fn no_connection(mut self, error: NetworkError) -> Wired {
        self.connection = Some(error);
        self
    }

    pub(super) fn never_connects(mut self) -> Wired {
        self.never = true;
        self
    }

    fn with(
        mut self,
        address: &str,
        server: impl Fn(DuplexStream) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Wired {
        self.servers.insert(address.parse().unwrap(), Arc::new(server));
        self
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, header: Option<&'static str>) {
    let answer = move |request: Request<Incoming>| async move {
        let host = request.headers().get("host").map(|host| host.to_str().unwrap().to_owned()).unwrap_or_default();
        let path = request.uri().to_string();
        let asked = request.into_body().collect().await.unwrap().to_bytes();
        let said = format!("{path} {host} {}", String::from_utf8_lossy(&asked));
        let mut response = Response::new(Full::new(Bytes::from(said)));
        if let Some((name, value)) = header.and_then(|header| header.split_once(": ")) {
            response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        Ok::<_, Infallible>(response)
    };
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

impl Network for Wired {
    fn bind_tcp(&self, local: SocketAddr) -> Result<Box<dyn TcpPort>, NetworkError> {
        Ok(Box::new(Port(local, self.clone())))
    }

    fn bind_udp(&self, _: SocketAddr) -> Result<Box<dyn UdpSocket>, NetworkError> {
        unreachable!("HTTP has no datagrams")
    }

    fn serve_http(&self, _: SocketAddr, _: Arc<dyn HttpService>) -> Result<Box<dyn HttpBound>, NetworkError> {
        unreachable!("nothing is served from here")
    }

    fn http_route(&self, remote: SocketAddr) -> Result<HttpRoute, NetworkError> {
        match &self.route {
            Some(error) => Err(error.clone()),
            None => Ok(self.services.get(&remote).cloned().map_or(HttpRoute::Connect, HttpRoute::InProcess)),
        }
    }

    fn resolve(&self, name: &str) -> BoxFuture<'static, Result<Vec<IpAddr>, NetworkError>> {
        let found = name.parse().map(|ip| vec![ip]).ok().or_else(|| self.names.get(name).cloned());
        async { found.ok_or(NetworkError::NameUnresolvable) }.boxed()
    }

    fn traffic(&self) -> Traffic {
        unreachable!("nobody asks")
    }
}

struct Port(SocketAddr, Wired);

impl TcpPort for Port {
    fn local_address(&self) -> SocketAddr {
        self.0
    }

    fn listen(self: Box<Self>, _: usize) -> Result<Box<dyn TcpListener>, NetworkError> {
        unreachable!("nobody listens here")
    }

    fn connect(
        self: Box<Self>,
        remote: SocketAddr,
        _: TcpOptions,
    ) -> BoxFuture<'static, Result<TcpConnection, NetworkError>> {
        let Port(local, network) = *self;
        async move {
            if network.never {
                std::future::pending::<()>().await;
            }
            if let Some(error) = network.connection {
                return Err(error);
            }
            let server = network.servers.get(&remote).ok_or(NetworkError::ConnectionRefused)?;
            network.connections.fetch_add(1, Ordering::Relaxed);
            let (near, far) = tokio::io::duplex(2 * TCP_BUFFER);
            tokio::spawn(server(far));
            let (receive, transmit) = tokio::io::split(near);
            Ok(TcpConnection {
                local,
                remote,
                receive: Box::new(Reading(receive)),
                transmit: Box::new(Writing::new(transmit)),
                control: Box::new(Fixed),
            })
        }
        .boxed()
    }
}

/// A connection without options.
struct Fixed;

impl TcpControl for Fixed {
    fn set_options(&self, _: &TcpOptions) -> Result<(), NetworkError> {
        Ok(())
    }
}

struct Reading(ReadHalf<DuplexStream>);

impl Receive for Reading {
    fn poll_receive(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Option<Bytes>, NetworkError>> {
        let mut bytes = vec![0; most.min(64 * 1024)];
        let mut buffer = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer)).map_err(|_| NetworkError::ConnectionReset)?;
        let read = Bytes::copy_from_slice(buffer.filled());
        Poll::Ready(Ok(Some(read).filter(|read| !read.is_empty())))
    }

    fn poll_readable(&mut self, _: &mut Context<'_>) -> Poll<()> {
        unreachable!("only guests look before they read")
    }
}

/// Holds one piece until the other end takes it.
struct Writing {
    half: WriteHalf<DuplexStream>,
    held: Bytes,
}

impl Writing {
    fn new(half: WriteHalf<DuplexStream>) -> Writing {
        Writing { half, held: Bytes::new() }
    }
}

impl Transmit for Writing {
    fn poll_capacity(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, NetworkError>> {
        ready!(self.poll_flush(cx))?;
        Poll::Ready(Ok(64 * 1024))
    }

    fn transmit(&mut self, bytes: Bytes) -> Result<(), NetworkError> {
        self.held = bytes;
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetworkError>> {
        while !self.held.is_empty() {
            let written = ready!(Pin::new(&mut self.half).poll_write(cx, &self.held));
            let written = written.map_err(|_| NetworkError::ConnectionReset)?;
            let _ = self.held.split_to(written);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetworkError>> {
        ready!(self.poll_flush(cx))?;
        Pin::new(&mut self.half).poll_shutdown(cx).map_err(|_| NetworkError::ConnectionReset)
    }
}
