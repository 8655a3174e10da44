//! A client of what runs in the cluster.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// An HTTP/1.1 client that keeps its connections. It never tries a request again by itself.
pub struct Http {
    runtime: Runtime,
    client: Requester,
}

type Requester = Client<HttpConnector, Empty<Bytes>>;

impl Default for Http {
    fn default() -> Self {
        let runtime = Runtime::new().expect("threads can be started");
        Self { runtime, client: requester() }
    }
}

impl Http {
    /// The status and the text of one answer.
    ///
    /// # Errors
    /// What went wrong before there was a whole answer.
    ///
    /// # Panics
    /// If `url` is none.
    pub fn get(&self, url: &str) -> Result<(StatusCode, String), String> {
        self.runtime.block_on(get(&self.client, &url.parse().expect("a URL")))
    }

    /// Begins to ask `url` with so many clients, each without pause.
    ///
    /// # Panics
    /// If `url` is none.
    #[must_use]
    pub fn load(&self, url: &str, clients: usize) -> Load<'_> {
        let url: Uri = url.parse().expect("a URL");
        let (answered, enough) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let client = |_| self.runtime.spawn(ask(url.clone(), answered.clone(), enough.clone()));
        Load { http: self, clients: (0..clients).map(client).collect(), answered, enough }
    }
}

/// Clients that ask without pause, until one of them gets another answer than 200.
pub struct Load<'a> {
    http: &'a Http,
    clients: Vec<JoinHandle<Result<(), String>>>,
    answered: Arc<AtomicUsize>,
    enough: Arc<AtomicBool>,
}

impl Load<'_> {
    /// Waits until so many more requests have been answered, or one has failed.
    pub fn progress(&self, requests: usize) {
        let goal = self.answered.load(Ordering::SeqCst) + requests;
        while self.answered.load(Ordering::SeqCst) < goal && !self.clients.iter().any(JoinHandle::is_finished) {
            sleep(Duration::from_millis(5));
        }
    }

    /// Ends the load.
    ///
    /// # Errors
    /// The first failure of each client that had one.
    ///
    /// # Panics
    /// If a client did.
    pub fn finish(self) -> Result<usize, Vec<String>> {
        self.enough.store(true, Ordering::SeqCst);
        let ended = self.http.runtime.block_on(futures::future::join_all(self.clients));
        let failures: Vec<String> = ended.into_iter().filter_map(|ended| ended.expect("no panic").err()).collect();
        if failures.is_empty() { Ok(self.answered.load(Ordering::SeqCst)) } else { Err(failures) }
    }
}

async fn ask(url: Uri, answered: Arc<AtomicUsize>, enough: Arc<AtomicBool>) -> Result<(), String> {
    let client = requester();
    while !enough.load(Ordering::SeqCst) {
        let (status, text) = get(&client, &url).await?;
        if status != StatusCode::OK {
            return Err(format!("{status}: {text}"));
        }
        answered.fetch_add(1, Ordering::SeqCst);
    }
    Ok(())
}

async fn get(client: &Requester, url: &Uri) -> Result<(StatusCode, String), String> {
    let answer = async {
        let response = client.get(url.clone()).await.map_err(|error| format!("{error:?}"))?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| format!("{status}, then {error:?}"))?;
        Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
    };
    timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(format!("no answer in {PATIENCE:?}")))
}

fn requester() -> Requester {
    Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build_http()
}
