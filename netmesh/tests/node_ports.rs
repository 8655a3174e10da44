//! Node ports from the outside: what a client at the host's port sees while Services and endpoints change.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod support;

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::StatusCode;
use support::{Cluster, FakeEndpoint, HttpClient, free_port, http1_client, http2_client, pod_address, summary, text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

#[tokio::test]
async fn a_request_reaches_a_ready_endpoint_by_either_version_of_http() {
    let cluster = Cluster::start();
    let _first = cluster.endpoint(1, FakeEndpoint::named("first"));
    cluster.api.ready(&[1]);

    assert_eq!(cluster.answers(StatusCode::OK).await, "first");
    let response = http2_client().get(cluster.url().parse().unwrap()).await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    assert_eq!(text(response).await, "first");
    cluster.stop().await;
}

#[tokio::test]
async fn without_a_ready_endpoint_the_port_answers_503() {
    let cluster = Cluster::start();
    let _unready = cluster.endpoint(1, FakeEndpoint::named("not listed"));
    assert_eq!(
        cluster.answers(StatusCode::SERVICE_UNAVAILABLE).await,
        "Service default/web port http has no ready endpoint\n"
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_update_loses_no_request() {
    const CLIENTS: usize = 8;
    const ROLLOUTS: u8 = 40;
    let cluster = Cluster::start();
    let mut serving = vec![cluster.endpoint(0, FakeEndpoint::named("0"))];
    cluster.api.ready(&[0]);
    cluster.answers(StatusCode::OK).await;

    let load = Load::start(CLIENTS, cluster.url());
    for generation in 1..=ROLLOUTS {
        serving.push(cluster.endpoint(generation, FakeEndpoint::named(generation.to_string())));
        // The worst order: the old endpoint is closed before the table hears of the new one.
        let (old, registration) = serving.remove(0);
        old.close();
        if generation % 2 == 0 {
            drop(registration);
        }
        cluster.api.ready(&[generation]);
        load.progress(2 * CLIENTS).await;
    }
    let (answered, failures) = load.finish().await;
    assert_eq!(failures, Vec::<String>::new(), "of {answered} requests");
    cluster.stop().await;
}

/// Clients that ask without pause.
struct Load {
    answered: Arc<AtomicUsize>,
    enough: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(clients: usize, url: String) -> Self {
        let (answered, enough) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let client = |_| tokio::spawn(ask(http1_client(), url.clone(), answered.clone(), enough.clone()));
        Self { clients: (0..clients).map(client).collect(), answered, enough }
    }

    /// Waits until so many more have been answered.
    async fn progress(&self, requests: usize) {
        let goal = self.answered.load(Ordering::SeqCst) + requests;
        while self.answered.load(Ordering::SeqCst) < goal && self.clients.iter().all(|client| !client.is_finished()) {
            tokio::task::yield_now().await;
        }
    }

    async fn finish(self) -> (usize, Vec<String>) {
        self.enough.store(true, Ordering::SeqCst);
        let failures = futures::future::join_all(self.clients).await.into_iter().flat_map(Result::unwrap).collect();
        (self.answered.load(Ordering::SeqCst), failures)
    }
}

/// Ends at the first failure, with what it was.
async fn ask(client: HttpClient, url: String, answered: Arc<AtomicUsize>, enough: Arc<AtomicBool>) -> Vec<String> {
    while !enough.load(Ordering::SeqCst) {
        match client.get(url.parse().unwrap()).await {
            Ok(response) if response.status() == StatusCode::OK => drop(text(response).await),
            Ok(response) => return vec![format!("{}: {}", response.status(), text(response).await)],
            Err(error) => return vec![format!("{error:?}")],
        }
        answered.fetch_add(1, Ordering::SeqCst);
    }
    vec![]
}

#[tokio::test]
async fn a_port_in_use_becomes_an_event_and_is_taken_when_it_is_free() {
    let squatter = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut cluster = Cluster::start_at(squatter.local_addr().unwrap().port());
    let _endpoint = cluster.endpoint(1, FakeEndpoint::named("at last"));
    cluster.api.ready(&[1]);

    let event = cluster.api.events.recv().await.unwrap();
    assert_eq!(summary(&event), ("NodePortUnavailable".into(), "Service/web".into()));
    drop(squatter);
    assert_eq!(cluster.answers(StatusCode::OK).await, "at last");
    cluster.stop().await;
}

#[tokio::test]
async fn a_port_closes_with_its_service_and_opens_elsewhere() {
    let mut cluster = Cluster::start();
    let _endpoint = cluster.endpoint(1, FakeEndpoint::named("here"));
    cluster.api.ready(&[1]);
    cluster.answers(StatusCode::OK).await;

    let old = cluster.node_port;
    cluster.api.service_gone(old);
    while !refused(old).await {
        tokio::task::yield_now().await;
    }
    cluster.node_port = free_port();
    cluster.api.service(cluster.node_port);
    assert_eq!(cluster.answers(StatusCode::OK).await, "here");
    cluster.stop().await;
}

async fn refused(port: u16) -> bool {
    let connected = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
    connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

#[tokio::test]
async fn a_pod_that_listens_at_a_socket_gets_the_bytes() {
    let cluster = Cluster::start();
    let pod = cluster.pod(1);
    let listener = pod.bind_tcp(pod_address(1)).unwrap().listen(8).unwrap();
    cluster.api.ready(&[1]);
    let serving = tokio::spawn(async move {
        loop {
            let connection = std::future::poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
            tokio::spawn(answer_backwards(connection.into()));
        }
    });

    let answer = loop {
        if let Some(answer) = ask_raw(cluster.node_port, b"abc").await {
            break answer;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(answer, b"cba", "all of it was read before it was answered: each way ends by itself");
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
    let answer = ask_raw(cluster.node_port, &large).await.unwrap();
    assert!(answer.iter().eq(large.iter().rev()));
    serving.abort();
    cluster.stop().await;
}

/// Reads all there is, then writes it from the end.
async fn answer_backwards(mut stream: carob_net::TcpStream) {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    all.reverse();
    stream.write_all(&all).await.unwrap();
    stream.shutdown().await.unwrap();
}

/// Sends `question` and the end, and gives what comes back. `None` while the port is closed, or answers with HTTP because
/// the netmesh has not heard of the endpoint yet.
async fn ask_raw(port: u16, question: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
    let (mut read, mut write) = stream.split();
    let mut answer = Vec::new();
    let send = async {
        write.write_all(question).await.ok()?;
        write.shutdown().await.ok()
    };
    let (_, read) = tokio::join!(send, read.read_to_end(&mut answer));
    (read.is_ok() && answer.len() == question.len()).then_some(answer)
}

#[tokio::test]
async fn datagrams_at_a_node_port_reach_a_pod_and_are_answered_from_there() {
    let cluster = Cluster::start();
    let pod = cluster.pod(1);
    let server = pod.bind_udp(pod_address(1)).unwrap();
    let echoing = tokio::spawn(async move {
        loop {
            let asked = std::future::poll_fn(|cx| server.poll_receive(cx)).await.unwrap();
            let send = std::future::poll_fn(|cx| server.poll_send(cx, &asked.bytes, asked.from));
            send.await.unwrap();
        }
    });
    let port = free_port();
    cluster.api.udp_service(port, 1);

    let clients = [UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap()];
    for (client, word) in clients.iter().zip(["first", "second"]) {
        client.connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let mut answer = [0; 16];
        let length = loop {
            // Until the port is open datagrams are lost, or refused.
            let _ = client.send(word.as_bytes()).await;
            match timeout(Duration::from_millis(100), client.recv(&mut answer)).await {
                Ok(Ok(length)) => break length,
                _ => tokio::task::yield_now().await,
            }
        };
        assert_eq!(&answer[..length], word.as_bytes());
    }
    echoing.abort();
    cluster.stop().await;
}

#[tokio::test]
async fn a_pod_has_its_ports_of_the_host_for_as_long_as_it_is_there() {
    let mut cluster = Cluster::start();
    let _endpoint = cluster.endpoint(7, FakeEndpoint::named("pod 7"));
    cluster.node_port = free_port();
    let port = cluster.node_port;
    cluster.api.pod_with_host_port(7, port);
    assert_eq!(cluster.answers(StatusCode::OK).await, "pod 7");

    // A second one that wants the same port hears that it cannot have it.
    cluster.api.pod_with_host_port(8, port);
    let event = cluster.api.events.recv().await.unwrap();
    assert_eq!(summary(&event), ("HostPortUnavailable".into(), "Pod/pod-8".into()));
    let _other = cluster.endpoint(8, FakeEndpoint::named("pod 8"));
    cluster.api.pod_gone(7, port);
    while cluster.answers(StatusCode::OK).await != "pod 8" {
        tokio::task::yield_now().await;
    }
    cluster.api.pod_gone(8, port);
    while !refused(port).await {
        tokio::task::yield_now().await;
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_load_balancer_is_served_at_its_own_port_and_tells_whether_endpoints_are_here() {
    let mut cluster = Cluster::start();
    let (port, health) = (free_port(), free_port());
    cluster.api.balanced(port, health, &[]);
    cluster.node_port = health;
    let told = cluster.answers(StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(told.contains(r#""name": "web"}, "localEndpoints": 0"#), "{told}");

    let _endpoint = cluster.endpoint(1, FakeEndpoint::named("here"));
    cluster.api.ready(&[1]);
    let told = cluster.answers(StatusCode::OK).await;
    assert!(told.contains(r#""localEndpoints": 1"#), "{told}");
    cluster.node_port = port;
    assert_eq!(cluster.answers(StatusCode::OK).await, "here");
    cluster.stop().await;
}

#[tokio::test]
async fn clients_that_a_load_balancer_is_not_for_are_cut_off() {
    let cluster = Cluster::start();
    let _endpoint = cluster.endpoint(1, FakeEndpoint::named("never"));
    cluster.api.ready(&[1]);
    let (port, health) = (free_port(), free_port());
    cluster.api.balanced(port, health, &["192.0.2.0/24"]);
    // It may be cut off before the connect has returned.
    let outcome = async || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.read_to_end(&mut Vec::new()).await
    };
    let cut = loop {
        match outcome().await {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => tokio::task::yield_now().await,
            ended => break ended.map_err(|error| error.kind()),
        }
    };
    assert_eq!(cut, Err(ErrorKind::ConnectionReset));
    cluster.stop().await;
}

#[tokio::test]
async fn shutdown_takes_nothing_new_and_finishes_what_is_under_way() {
    let answers = Arc::new(Semaphore::new(1));
    let cluster = Cluster::start();
    let (slow, _registration) = cluster.endpoint(1, FakeEndpoint::held_by("done", answers.clone()));
    cluster.api.ready(&[1]);
    cluster.answers(StatusCode::OK).await;

    let under_way = tokio::spawn(http1_client().get(cluster.url().parse().unwrap()));
    while carob_net::HttpService::load(&*slow) == 0 {
        tokio::task::yield_now().await;
    }
    cluster.shutdown.cancel();
    while !refused(cluster.node_port).await {
        tokio::task::yield_now().await;
    }
    assert!(!cluster.running.is_finished(), "one request is still under way");
    answers.add_permits(1);
    assert_eq!(text(under_way.await.unwrap().unwrap()).await, "done");
    cluster.running.await.unwrap();
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let cluster = Cluster::start();
    let _endpoint = cluster.endpoint(1, FakeEndpoint::named("never"));
    cluster.api.ready(&[1]);
    cluster.answers(StatusCode::OK).await;

    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, cluster.node_port)).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}", "x".repeat(70_000));
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    cluster.stop().await;
}

#[tokio::test]
async fn a_name_is_not_denied_before_services_were_listed() {
    let cluster = Cluster::start();
    let pod = cluster.pod(1);
    // Nothing of the netmesh has run yet; the dot keeps the host's resolver out.
    let mut early = pod.resolve("nobody.default.svc.cluster.local.");
    assert!(futures::poll!(early.as_mut()).is_pending());
    assert_eq!(early.await, Err(carob_net::NetworkError::NameUnresolvable));
    cluster.stop().await;
}
