mod wired;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use carob_net::{Answer, Body, NetworkError};
use http::{HeaderMap, StatusCode};
use http_body_util::{Full, StreamBody};
use wired::Wired;

use super::*;

const SERVER: &str = "10.0.0.1:80";

fn body(text: &'static str) -> WasiBody {
    Full::new(bytes::Bytes::from_static(text.as_bytes())).map_err(|never| match never {}).boxed_unsync()
}

fn get(uri: &str) -> Request<WasiBody> {
    Request::get(uri).header("host", "server").body(body("")).unwrap()
}

async fn send(outgoing: &Outgoing, request: Request<WasiBody>) -> Result<Response<WasiBody>, Error> {
    send_with(outgoing, request, RequestOptions::default()).await
}

async fn send_with(
    outgoing: &Outgoing,
    request: Request<WasiBody>,
    options: RequestOptions,
) -> Result<Response<WasiBody>, Error> {
    let sent = outgoing.clone().send_request(request, Some(options), Box::new(async { Ok(()) }));
    let (response, rest) = Box::into_pin(sent).await?;
    Box::into_pin(rest).await?;
    Ok(response)
}

async fn text(response: Response<WasiBody>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().into()).unwrap()
}

type Refusing = fn() -> Refused;

/// Answers with what it was asked, or refuses.
struct Service {
    refuses: Option<Refusing>,
    calls: AtomicUsize,
}

impl Service {
    fn new(refuses: Option<Refusing>) -> Arc<Service> {
        Arc::new(Service { refuses, calls: AtomicUsize::new(0) })
    }
}

impl HttpService for Service {
    fn call(&self, request: Request<Body>) -> Answer {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let refused = self.refuses.map(|refused| refused());
        Box::pin(async move {
            if let Some(refused) = refused {
                let request = (!matches!(refused, Refused::Failed(_))).then_some(request);
                return Err((refused, request));
            }
            let uri = request.uri().to_string();
            let asked = request.into_body().collect().await.unwrap().to_bytes();
            let answer = format!("{uri} {}", String::from_utf8_lossy(&asked));
            Ok(Response::new(Full::from(answer).map_err(|never| match never {}).boxed_unsync()))
        })
    }

    fn load(&self) -> usize {
        0
    }
}

#[tokio::test]
async fn a_service_of_this_process_is_called() {
    let outgoing = Wired::default().service(SERVER, Service::new(None)).outgoing();
    let request = Request::post("http://10.0.0.1/path?query").body(body("asked")).unwrap();
    assert_eq!(text(send(&outgoing, request).await.unwrap()).await, "http://10.0.0.1/path?query asked");
}

#[tokio::test]
async fn an_address_that_did_not_begin_passes_the_request_on() {
    let closing = Service::new(Some(|| Refused::Closed));
    let open = Service::new(None);
    let wired = Wired::default().name("web", &["10.0.0.1", "10.0.0.2"]);
    let outgoing = wired.service(SERVER, closing.clone()).service("10.0.0.2:80", open.clone()).outgoing();
    let request = Request::post("http://web/").body(body("once")).unwrap();
    assert_eq!(text(send(&outgoing, request).await.unwrap()).await, "http://web/ once");
    assert_eq!((closing.calls.load(Ordering::Relaxed), open.calls.load(Ordering::Relaxed)), (1, 1));
}

#[tokio::test]
async fn what_a_service_refuses_has_its_error() {
    let failed = || Refused::Failed("it trapped".into());
    let cases: [(Refusing, &str); 3] = [
        (|| Refused::Overloaded, "connection limit reached"),
        (|| Refused::Closed, "connection refused"),
        (failed, "incomplete HTTP response"),
    ];
    for (refused, expected) in cases {
        let outgoing = Wired::default().service(SERVER, Service::new(Some(refused))).outgoing();
        assert_eq!(send(&outgoing, get("http://10.0.0.1/")).await.err().unwrap().to_string(), expected);
    }
}

#[tokio::test]
async fn what_the_network_refuses_has_its_error() {
    let denied = || NetworkError::AccessDenied("policy".into());
    let cases = [
        (denied(), "destination IP address is prohibited"),
        (NetworkError::ConnectionRefused, "connection refused"),
        (NetworkError::RemoteUnreachable, "destination IP address is unroutable"),
        (NetworkError::TimedOut, "connection timeout"),
        (NetworkError::LimitReached, "connection limit reached"),
    ];
    for (error, expected) in cases {
        let routed = Wired::default().no_route(error.clone()).outgoing();
        assert_eq!(send(&routed, get("http://10.0.0.1/")).await.err().unwrap().to_string(), expected);
        let connected = Wired::default().no_connection(error).outgoing();
        assert_eq!(send(&connected, get("http://10.0.0.1/")).await.err().unwrap().to_string(), expected);
    }
    let nameless = Wired::default().outgoing();
    let unknown = send(&nameless, get("http://no-such-name/")).await.err().unwrap();
    assert!(matches!(unknown, Error::DnsError { rcode: Some(code), .. } if code == "NXDOMAIN"));
    let unplugged = Outgoing::new(Arc::new(carob_net::Unplugged), Arc::default(), Meter::of_nobody());
    assert!(matches!(send(&unplugged, get("http://127.0.0.1:6443/")).await, Err(Error::HttpRequestDenied)));
}

#[tokio::test]
async fn what_is_no_request_to_anybody_is_refused_at_once() {
    let outgoing = Wired::default().outgoing();
    let tunnel = Request::connect("10.0.0.1:443").body(body("")).unwrap();
    assert!(matches!(send(&outgoing, tunnel).await, Err(Error::HttpRequestMethodInvalid)));
    assert!(matches!(send(&outgoing, get("ftp://10.0.0.1/")).await, Err(Error::HttpProtocolError)));
    assert!(matches!(send(&outgoing, get("/path")).await, Err(Error::HttpProtocolError)));
}

#[tokio::test]
async fn a_server_is_spoken_to_over_one_connection_that_is_kept() {
    let wired = Wired::default().server(SERVER, None);
    let outgoing = wired.clone().outgoing();
    for _ in 0..3 {
        let request = Request::post("http://10.0.0.1/path").header("host", "10.0.0.1").body(body("asked")).unwrap();
        assert_eq!(text(send(&outgoing, request).await.unwrap()).await, "/path 10.0.0.1 asked");
    }
    assert_eq!(wired.connections(), 1);
}

#[tokio::test]
async fn requests_at_the_same_time_have_connections_of_their_own() {
    let wired = Wired::default().server(SERVER, None);
    let outgoing = wired.clone().outgoing();
    // Neither body is read before both have come.
    let (one, two) = (send(&outgoing, get("http://10.0.0.1/1")), send(&outgoing, get("http://10.0.0.1/2")));
    let (one, two) = futures::join!(one, two);
    assert_eq!(text(one.unwrap()).await, "/1 server ");
    assert_eq!(text(two.unwrap()).await, "/2 server ");
    assert_eq!(wired.connections(), 2);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced() {
    let wired = Wired::default().server(SERVER, Some("connection: close"));
    let outgoing = wired.clone().outgoing();
    for _ in 0..3 {
        assert_eq!(text(send(&outgoing, get("http://10.0.0.1/")).await.unwrap()).await, "/ server ");
    }
    assert_eq!(wired.connections(), 3);
}

#[tokio::test]
async fn trailers_arrive() {
    let answer =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: digest\r\n\r\n2\r\nhi\r\n0\r\ndigest: abc\r\n\r\n";
    let outgoing = Wired::default().says(SERVER, answer).outgoing();
    let response = send(&outgoing, get("http://10.0.0.1/")).await.unwrap();
    let collected = response.into_body().collect().await.unwrap();
    let expected = HeaderMap::from_iter([("digest".parse().unwrap(), "abc".parse().unwrap())]);
    assert_eq!(collected.trailers(), Some(&expected));
    assert_eq!(collected.to_bytes(), "hi");
}

#[tokio::test]
async fn what_a_server_says_wrong_has_its_error() {
    let cases = [
        ("", "incomplete HTTP response"),
        ("HTTP/1.1 200 OK\r\ncontent-le", "incomplete HTTP response"),
        ("SSH-2.0-OpenSSH\r\n\r\n", "HTTP protocol error"),
    ];
    for (said, expected) in cases {
        let outgoing = Wired::default().says(SERVER, said).outgoing();
        let error = send(&outgoing, get("http://10.0.0.1/")).await.err().unwrap().to_string();
        assert_eq!(error, expected, "{said:?}");
    }
    let cut = Wired::default().says(SERVER, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").outgoing();
    let response = send(&cut, get("http://10.0.0.1/")).await.unwrap();
    let error = response.into_body().collect().await.err().unwrap();
    assert!(matches!(error, Error::HttpResponseIncomplete), "{error}");
}

#[tokio::test(start_paused = true)]
async fn each_step_has_its_time() {
    let second = Some(Duration::from_secs(1));
    let none = RequestOptions::default();
    let silent = Wired::default().silent(SERVER);
    let first_byte = RequestOptions { first_byte_timeout: second, ..none };
    let late = send_with(&silent.clone().outgoing(), get("http://10.0.0.1/"), first_byte).await;
    assert!(matches!(late, Err(Error::ConnectionReadTimeout)));
    let connect = RequestOptions { connect_timeout: second, ..none };
    let late = send_with(&Wired::default().never_connects().outgoing(), get("http://10.0.0.1/"), connect).await;
    assert!(matches!(late, Err(Error::ConnectionTimeout)));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_fails_but_a_slow_reader_does_not() {
    let patience = Duration::from_secs(1);
    let frames =
        futures::stream::iter([Ok(http_body::Frame::data("a".into())), Ok(http_body::Frame::data("b".into()))]);
    let mut read = body::timed(BodyExt::boxed_unsync(StreamBody::new(frames)), patience);
    for _ in 0..2 {
        tokio::time::sleep(10 * patience).await;
        assert!(read.frame().await.unwrap().is_ok());
    }
    let never = futures::stream::pending::<Result<http_body::Frame<bytes::Bytes>, Error>>();
    let mut stuck = body::timed(BodyExt::boxed_unsync(StreamBody::new(never)), patience);
    assert!(matches!(stuck.frame().await, Some(Err(Error::ConnectionReadTimeout))));
}

#[tokio::test]
async fn https_goes_to_whom_the_host_trusts_alone() {
    let certified = rcgen::generate_simple_self_signed(["secure.example".to_owned()]).unwrap();
    let wired = Wired::default().name("secure.example", &["10.0.0.1"]).name("other.example", &["10.0.0.1"]);
    let wired = wired.tls_server("10.0.0.1:443", &certified);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let trusting = Outgoing::new(Arc::new(wired.clone()), Arc::new(Tls::trusting(roots)), Meter::of_nobody());
    let answer = send(&trusting, get("https://secure.example/")).await.unwrap();
    assert_eq!((answer.status(), text(answer).await), (StatusCode::OK, "/ server ".to_owned()));
    assert!(matches!(send(&trusting, get("https://other.example/")).await, Err(Error::TlsCertificateError)));
    let stranger = rcgen::generate_simple_self_signed(["secure.example".to_owned()]).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(stranger.cert.der().clone()).unwrap();
    let distrusting = Outgoing::new(Arc::new(wired), Arc::new(Tls::trusting(roots)), Meter::of_nobody());
    assert!(matches!(send(&distrusting, get("https://secure.example/")).await, Err(Error::TlsCertificateError)));
}

#[tokio::test]
async fn a_pool_holds_so_much_and_no_more() {
    let wired = Wired::default().server(SERVER, None);
    let outgoing = wired.clone().outgoing();
    let requests = (0..40).map(|_| send(&outgoing, get("http://10.0.0.1/")));
    let answers = futures::future::join_all(requests).await;
    for answer in answers {
        text(answer.unwrap()).await;
    }
    assert_eq!(wired.connections(), 40);
    assert_eq!(outgoing.inner.pool.held(), 16);
}

#[tokio::test]
async fn what_connections_cost_is_the_containers_expense() {
    let certified = rcgen::generate_simple_self_signed(["secure.example".to_owned()]).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let wired = Wired::default().name("secure.example", &["10.0.0.1"]).tls_server("10.0.0.1:443", &certified);
    let meter = Meter::of_nobody();
    let outgoing = Outgoing::new(Arc::new(wired), Arc::new(Tls::trusting(roots)), meter.clone());
    text(send(&outgoing, get("https://secure.example/")).await.unwrap()).await;
    let shaken = meter.used();
    assert!(!shaken.is_zero(), "a handshake takes time");
    text(send(&outgoing, get("https://secure.example/")).await.unwrap()).await;
    assert!(meter.used() > shaken, "and so does every request");
}

#[tokio::test]
async fn a_request_that_is_given_up_ends_its_connection() {
    let gone = Arc::new(tokio::sync::Notify::new());
    let wired = Wired::default().hears_out("10.0.0.1:443", gone.clone());
    let outgoing = wired.clone().outgoing();
    {
        // A server that never shakes hands.
        let mut sent = std::pin::pin!(send(&outgoing, get("https://10.0.0.1/")));
        while wired.connections() == 0 {
            assert!(futures::poll!(sent.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
    }
    gone.notified().await;
}
