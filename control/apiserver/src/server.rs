use std::sync::Arc;

use carob_store::Store;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Identity, InProcess, bootstrap,
    cache::{Applied, follow, load},
    edge::{self, InFlight},
    expire::expire,
    kubelet::Relays,
    metrics::Metrics,
    registry::Registry,
    usage::Scraper,
};

/// The Kubernetes API over a store. Clones are the same server, which ends when the last of them is dropped.
#[derive(Clone)]
pub struct ApiServer(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    config: Config,
    registry: Arc<Registry>,
    applied: Applied,
    metrics: Metrics,
    in_flight: InFlight,
    scraper: Scraper,
    ending: CancellationToken,
    relays: Relays,
    /// What goes on without being asked; ends with the server.
    _tasks: JoinSet<()>,
}

/// Why an API server did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store could not be read or written.
    #[error("the API server cannot read its store")]
    Store(#[from] carob_store::Error),
    /// What every cluster has could not be written.
    #[error("cannot write {what}: {said}")]
    Bootstrap {
        /// The path that was written to.
        what: String,
        /// What the server said.
        said: String,
    },
}

impl ApiServer {
    /// Loads the cache from the store and writes what every cluster has: the first namespaces and the Service
    /// `default/kubernetes`.
    pub async fn new(store: Arc<dyn Store>, config: Config) -> Result<Self, Error> {
        let applied = Applied::new();
        let registry = Arc::new(Registry::new(config.resources, &applied));
        load(&*store, &registry, &applied).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(follow(store.clone(), registry.clone(), applied.clone()));
        tasks.spawn(expire(store.clone(), registry.clone()));
        let (metrics, scraper, ending) = (Metrics::new(), Scraper::default(), CancellationToken::new());
        let inner = Inner {
            store,
            in_flight: InFlight::new(config.limits),
            config,
            registry,
            applied,
            metrics,
            scraper,
            ending,
            relays: Relays::default(),
            _tasks: tasks,
        };
        let api = Self(Arc::new(inner));
        bootstrap::write(&api).await?;
        Ok(api)
    }

    /// A client in this process that asks as `identity`.
    pub fn client(&self, identity: Identity) -> InProcess {
        InProcess::new(self.clone(), identity)
    }

    /// Serves on a socket until `shutdown`, then drains. The client certificate's common name is the user, its organizations
    /// the groups; `tls` must verify client certificates but allow clients without one, who get health and version only.
    pub async fn serve(&self, listener: TcpListener, tls: rustls::ServerConfig, shutdown: CancellationToken) {
        edge::serve(self.clone(), listener, tls, shutdown).await;
    }

    /// Ends all watches and relays, so that connections can drain. Clients come again, to the next server.
    pub(crate) fn end_watches(&self) {
        self.0.ending.cancel();
    }

    /// Cancelled when the server is about to end.
    pub(crate) fn ending(&self) -> CancellationToken {
        self.0.ending.clone()
    }

    /// The connections that were upgraded and are passed on to nodes.
    pub(crate) fn relays(&self) -> &Relays {
        &self.0.relays
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.0.registry
    }

    pub(crate) fn applied(&self) -> &Applied {
        &self.0.applied
    }

    pub(crate) fn in_flight(&self) -> &InFlight {
        &self.0.in_flight
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn scraper(&self) -> &Scraper {
        &self.0.scraper
    }
}
