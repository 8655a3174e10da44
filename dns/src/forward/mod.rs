//! Names of others: asked of servers outside, and remembered.
//!
//! hickory's resolver asks (from ports and by numbers that nobody guesses, again when an answer does not come, by TCP where it
//! does not fit, the faster server first, once for all who ask the same) and remembers. What is here says who is asked for
//! which name, and bounds it. `pool` is hickory's part, `own` the sockets of a Pod for it, `resolv_conf` reads which servers
//! the host asks (pure).

mod own;
mod pool;
mod resolv_conf;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, Query};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{ResponseCache, TtlConfig};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::metrics::Metrics;
pub(crate) use own::OwnSockets;
use pool::{Pool, options};
pub(crate) use pool::{ask, pool};
pub use resolv_conf::ResolvConf;

/// Questions that are asked at one time. Those beyond are refused at once: clients ask again.
const MOST_IN_FLIGHT: usize = 512;
/// Answers that are remembered.
const MOST_KEPT: u64 = 10_000;
/// Answers with more records are not remembered, so that their number bounds the memory.
const MOST_RECORDS: usize = 64;
/// For one question, whoever is asked. Clients give up after five seconds.
const PATIENCE: Duration = Duration::from_millis(4500);

/// Who is asked for names outside of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upstreams {
    /// For all names.
    pub servers: Vec<SocketAddr>,
    /// For the names of some domains.
    pub stubs: Vec<Stub>,
}

/// A domain whose names others are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stub {
    /// The domain, in lower case, without a dot at its end.
    pub domain: String,
    /// Who is asked.
    pub servers: Vec<SocketAddr>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForwardError {
    /// Too many questions are under way.
    #[error("too many questions are under way")]
    Busy,
    /// No server has answered in time.
    #[error("no server has answered in time")]
    Silence,
    /// No server could be asked.
    #[error(transparent)]
    Net(#[from] NetError),
}

/// Asks servers outside.
pub(crate) struct Forwarder {
    servers: Pool<TokioRuntimeProvider>,
    /// By domain, the longest first.
    stubs: Vec<(String, Pool<TokioRuntimeProvider>)>,
    cache: ResponseCache,
    places: Semaphore,
    metrics: Arc<Metrics>,
}

impl Forwarder {
    pub(crate) fn new(upstreams: Upstreams, metrics: Arc<Metrics>) -> Forwarder {
        let provider = TokioRuntimeProvider::default();
        let mut stubs = upstreams.stubs;
        stubs.sort_by_key(|stub| std::cmp::Reverse(stub.domain.len()));
        let stub = |stub: Stub| (stub.domain, pool(&stub.servers, provider.clone()));
        Forwarder {
            stubs: stubs.into_iter().map(stub).collect(),
            servers: pool(&upstreams.servers, provider.clone()),
            cache: ResponseCache::new(MOST_KEPT, TtlConfig::from_opts(&options())),
            places: Semaphore::new(MOST_IN_FLIGHT),
            metrics,
        }
    }

    /// What is remembered of a question. Answers with signatures are not.
    pub(crate) fn remembered(&self, query: &Query, signatures: bool) -> Option<Message> {
        let kept = if signatures { None } else { self.cache.get(query, Instant::now()) };
        self.metrics.cache(kept.is_some());
        kept.and_then(|outcome| pool::message(outcome).ok())
    }

    /// Asks for `name`, which is that of `query` in lower case and without the dot at its end.
    ///
    /// # Errors
    /// [`ForwardError`] if nobody answers. That there is nothing, or that a server cannot say, is an answer.
    pub(crate) async fn ask(&self, name: &str, query: Query, signatures: bool) -> Result<Message, ForwardError> {
        let _place = self.places.try_acquire().map_err(|_| ForwardError::Busy)?;
        let asking = pool::outcome(self.servers_of(name), query.clone(), signatures);
        let outcome = timeout(PATIENCE, asking).await.map_err(|_| ForwardError::Silence)?;
        if !signatures && may_be_kept(&outcome) {
            self.cache.insert(query, outcome.clone(), Instant::now());
        }
        Ok(pool::message(outcome)?)
    }

    /// Those of the longest domain that a name is of.
    fn servers_of(&self, name: &str) -> &Pool<TokioRuntimeProvider> {
        let stub = self.stubs.iter().find(|(domain, _)| is_within(name, domain));
        stub.map_or(&self.servers, |(_, servers)| servers)
    }
}

fn is_within(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn may_be_kept(outcome: &Result<Message, NetError>) -> bool {
    let records = |answer: &Message| answer.answers.len() + answer.authorities.len() + answer.additionals.len();
    outcome.as_ref().map_or(true, |answer| records(answer) <= MOST_RECORDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_has_itself_and_what_is_below_it() {
        for (name, expected) in [
            ("corp.example", true),
            ("a.corp.example", true),
            ("a.b.corp.example", true),
            ("xcorp.example", false),
            ("example", false),
            ("", false),
        ] {
            assert_eq!(is_within(name, "corp.example"), expected, "{name}");
        }
    }
}
