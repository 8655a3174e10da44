//! Servers at ports of a Pod, as a guest would have them: at sockets of the Pod's own network.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use carob_net::TcpStream;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::runtime::fake::FakeContainer;

/// A server that says what it is told to, and remembers what it was asked. It ends when it is dropped.
pub(super) struct Server<Says, Asked> {
    pub(super) says: Arc<Mutex<Says>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    _tasks: JoinSet<()>,
}

/// A status code and the headers of an answer.
pub(super) type Page = (u16, Vec<(&'static str, String)>);
pub(super) type HttpServer = Server<Page, (String, HeaderMap)>;

impl<Says, Asked> Server<Says, Asked> {
    /// How often it was asked.
    pub(super) fn count(&self) -> usize {
        self.asked.lock().len()
    }

    /// What it was asked since it was looked at last.
    pub(super) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock())
    }
}

/// HTTP/1.1; with `tls`, by a certificate that nobody has reason to trust.
pub(super) fn http(container: &FakeContainer, port: u16, tls: bool) -> HttpServer {
    let says: Arc<Mutex<Page>> = Arc::new(Mutex::new((200, Vec::new())));
    let asked: Arc<Mutex<Vec<(String, HeaderMap)>>> = Arc::default();
    let (page, log) = (says.clone(), asked.clone());
    let answer = move |request: Request<Incoming>| {
        log.lock().push((request.uri().to_string(), request.headers().clone()));
        let (code, headers) = page.lock().clone();
        let mut response = Response::new(Full::new(Bytes::from_static(b"body")));
        *response.status_mut() = StatusCode::from_u16(code).unwrap();
        for (name, value) in headers {
            response.headers_mut().append(name, value.parse().unwrap());
        }
        response
    };
    let acceptor = tls.then(acceptor);
    let tasks = serve(container, port, move |stream| {
        let (answer, acceptor) = (answer.clone(), acceptor.clone());
        let service = service_fn(move |request| {
            let response = answer(request);
            async move { Ok::<_, Infallible>(response) }
        });
        async move {
            // A client may go at any moment.
            let _ = match acceptor {
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => http1::Builder::new().serve_connection(TokioIo::new(stream), service).await,
                    Err(_) => Ok(()),
                },
                None => http1::Builder::new().serve_connection(TokioIo::new(stream), service).await,
            };
        }
    });
    Server { says, asked, _tasks: tasks }
}

/// gRPC's health service: it says a `ServingStatus`, and remembers the names of services, with gRPC's frame around them.
pub(super) fn grpc(container: &FakeContainer, port: u16) -> Server<u8, Vec<u8>> {
    let says = Arc::new(Mutex::new(1));
    let asked: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let (status, log) = (says.clone(), asked.clone());
    let tasks = serve(container, port, move |stream| {
        let (status, log) = (status.clone(), log.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (status, log) = (status.clone(), log.clone());
            async move {
                assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
                assert_eq!(request.headers()["content-type"], "application/grpc");
                let question = request.into_body().collect().await.unwrap().to_bytes();
                log.lock().push(question.to_vec());
                let answer = Bytes::from(vec![0, 0, 0, 0, 2, 8, *status.lock()]);
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", "0".parse().unwrap());
                let frames = [Frame::data(answer), Frame::trailers(trailers)].map(Ok::<_, Infallible>);
                Ok::<_, Infallible>(Response::new(StreamBody::new(futures::stream::iter(frames))))
            }
        });
        async move {
            let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        }
    });
    Server { says, asked, _tasks: tasks }
}

/// Accepts connections at a port of all the Pod's addresses.
pub(super) fn serve<F>(
    container: &FakeContainer,
    port: u16,
    handle: impl Fn(TcpStream) -> F + Send + 'static,
) -> JoinSet<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let any = SocketAddr::from(([0, 0, 0, 0], port));
    let listener = container.network.bind_tcp(any).unwrap().listen(16).unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok(connection) = poll_fn(|cx| listener.poll_accept(cx)).await {
            connections.spawn(handle(TcpStream::from(connection)));
        }
    });
    tasks
}

fn acceptor() -> TlsAcceptor {
    let authority = carob_pki::Authority::generate("nobody", SystemTime::now()).unwrap();
    let names = carob_pki::Names { dns: vec!["elsewhere".to_owned()], ips: Vec::new() };
    let pair = authority.server("elsewhere", &names, SystemTime::now(), Duration::from_secs(3600)).unwrap();
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap()).into()
}
