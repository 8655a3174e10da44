//! Asks nodes what runs there and what it uses.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use super::shape::Summary;
use crate::NodeDialer;

/// An answer is given again for so long: many readers cost a node no more than one.
const FRESH: Duration = Duration::from_secs(2);
/// A node that has not answered by then is left out.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most that a summary may be long: some kilobytes for each Pod.
const MOST_BYTES: usize = 64 << 20;

/// What was last heard of each node.
#[derive(Default)]
pub(crate) struct Scraper {
    nodes: Mutex<HashMap<String, Arc<Place>>>,
}

/// One asks at a time; who comes meanwhile gets the same answer.
type Place = tokio::sync::Mutex<Option<(Instant, Option<Arc<Summary>>)>>;
type Error = Box<dyn std::error::Error + Send + Sync>;

impl Scraper {
    /// The summaries of these nodes, as far as they answer.
    pub(super) async fn summaries(
        &self,
        dialer: &dyn NodeDialer,
        nodes: BTreeSet<&str>,
    ) -> HashMap<String, Arc<Summary>> {
        let asked = nodes.into_iter().map(async |node| Some((node.to_owned(), self.summary(dialer, node).await?)));
        futures::future::join_all(asked).await.into_iter().flatten().collect()
    }

    async fn summary(&self, dialer: &dyn NodeDialer, node: &str) -> Option<Arc<Summary>> {
        let place = self.nodes.lock().entry(node.to_owned()).or_default().clone();
        let mut held = place.lock().await;
        if let Some((at, summary)) = &*held
            && at.elapsed() < FRESH
        {
            return summary.clone();
        }
        let asked = timeout(PATIENCE, ask(dialer, node)).await.unwrap_or_else(|late| Err(late.into()));
        let summary =
            asked.inspect_err(|error| tracing::warn!(node, %error, "the node does not say what it uses")).ok();
        let summary = summary.map(Arc::new);
        *held = Some((Instant::now(), summary.clone()));
        summary
    }
}

async fn ask(dialer: &dyn NodeDialer, node: &str) -> Result<Summary, Error> {
    let stream = dialer.dial(node).await?;
    let (mut sender, connection) = http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await?;
    let request = Request::get("/stats/summary").header(header::HOST, "node").body(Empty::new())?;
    let answer = async {
        let answer = sender.send_request(request).await?;
        if !answer.status().is_success() {
            return Err(format!("it answered {}", answer.status()).into());
        }
        Ok::<Bytes, Error>(Limited::new(answer.into_body(), MOST_BYTES).collect().await?.to_bytes())
    };
    tokio::pin!(answer);
    let body = tokio::select! {
        body = &mut answer => body?,
        // The connection may end with the last of the answer.
        _ = connection => answer.await?,
    };
    Ok(serde_json::from_slice::<Summary>(&body)?.sorted())
}
