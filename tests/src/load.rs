//! Constant requests to a server, and an account of every answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::network::Machine;

/// Far more than an answer takes, so that only one that never comes counts as a failure.
const PATIENCE: Duration = Duration::from_secs(30);

type HttpClient = Client<HttpConnector, Empty<Bytes>>;

/// Clients that ask without a pause, and at least once, until they are told to finish.
pub struct Load {
    runtime: Runtime,
    begin: Instant,
    answered: Arc<AtomicU64>,
    stop: watch::Sender<bool>,
    clients: JoinSet<Report>,
}

/// What became of the requests.
#[derive(Debug, Default)]
pub struct Report {
    /// How many were answered with 200.
    pub answered: u64,
    /// The different answers that were seen.
    pub bodies: Vec<String>,
    /// What went wrong, one line for each request.
    pub failures: Vec<String>,
    /// How many requests in a row failed of the client that had the most of it.
    pub in_a_row: u64,
}

impl Load {
    /// Starts `pairs` of clients: of each pair, one keeps its connection and one opens another for each request.
    ///
    /// # Panics
    /// If threads cannot be started.
    #[must_use]
    pub fn start(server: SocketAddr, pairs: usize) -> Self {
        Self::with(Builder::new_multi_thread().worker_threads(1), server, pairs)
    }

    /// The same, with clients on a machine of a network.
    ///
    /// # Panics
    /// If threads cannot be started.
    #[must_use]
    pub fn start_on(machine: &Machine, server: SocketAddr, pairs: usize) -> Self {
        let machine = machine.clone();
        Self::with(
            Builder::new_multi_thread().worker_threads(1).on_thread_start(move || machine.enter()),
            server,
            pairs,
        )
    }

    fn with(threads: &mut Builder, server: SocketAddr, pairs: usize) -> Self {
        let runtime = threads.enable_all().build().expect("a thread can be started");
        let (stop, stopped) = watch::channel(false);
        let (mut clients, answered) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
        for kept in [0, 1].repeat(pairs) {
            let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(kept).build_http();
            clients.spawn_on(ask_until(client, server, stopped.clone(), answered.clone()), runtime.handle());
        }
        Self { runtime, begin: Instant::now(), answered, stop, clients }
    }

    /// How many requests have been answered so far.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// For how long it has been asking.
    #[must_use]
    pub fn running_for(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Lets every client finish the request that it has begun, and answers what became of all of them.
    ///
    /// # Panics
    /// If a client panicked.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.stop.send_replace(true);
        let mut total = Report::default();
        while let Some(report) = self.runtime.block_on(self.clients.join_next()) {
            total.add(report.expect("a client does not panic"));
        }
        total
    }
}

impl Report {
    fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.failures.extend(other.failures);
        self.in_a_row = self.in_a_row.max(other.in_a_row);
        for body in other.bodies {
            self.saw(body);
        }
    }

    fn saw(&mut self, body: String) {
        if !self.bodies.contains(&body) {
            self.bodies.push(body);
        }
    }
}

async fn ask_until(
    client: HttpClient,
    server: SocketAddr,
    stopped: watch::Receiver<bool>,
    answered: Arc<AtomicU64>,
) -> Report {
    let (mut report, mut in_a_row) = (Report::default(), 0);
    loop {
        in_a_row += 1;
        match tokio::time::timeout(PATIENCE, ask(&client, server)).await {
            Ok(Ok(body)) => {
                report.answered += 1;
                answered.fetch_add(1, Ordering::Relaxed);
                in_a_row = 0;
                report.saw(body);
            }
            Ok(Err(failure)) => report.failures.push(failure),
            Err(_) => report.failures.push(format!("no answer within {PATIENCE:?}")),
        }
        report.in_a_row = report.in_a_row.max(in_a_row);
        if *stopped.borrow() {
            return report;
        }
    }
}

async fn ask(client: &HttpClient, server: SocketAddr) -> Result<String, String> {
    let address = format!("http://{server}/").parse().map_err(|error| format!("{error}"))?;
    let response = client.get(address).await.map_err(|error| format!("no answer: {error:?}"))?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|error| format!("half an answer: {error:?}"))?.to_bytes();
    let body = String::from_utf8_lossy(&body).into_owned();
    if status.is_success() { Ok(body) } else { Err(format!("{status}: {body}")) }
}
