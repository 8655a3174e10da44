//! A client of what runs in the cluster.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// An HTTP/1.1 client that keeps its connections. It never tries a request again by itself.
pub struct Http {
    runtime: Runtime,
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Default for Http {
    fn default() -> Self {
        let runtime = Runtime::new().expect("threads can be started");
        let client = Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build_http();
        Self { runtime, client }
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
        let request = self.client.get(url.parse().expect("a URL"));
        let answer = async {
            let response = request.await.map_err(|error| format!("{error:?}"))?;
            let status = response.status();
            let body = response.into_body().collect().await.map_err(|error| format!("{status}, then {error:?}"))?;
            Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
        };
        let within = async { timeout(PATIENCE, answer).await };
        self.runtime.block_on(within).unwrap_or_else(|_| Err(format!("no answer in {PATIENCE:?}")))
    }
}
