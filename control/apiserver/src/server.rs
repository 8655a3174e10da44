use std::sync::Arc;

use carob_store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Config, Identity, InProcess, edge};

/// The Kubernetes API over a store. Clones are the same server.
#[derive(Clone)]
pub struct ApiServer(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    config: Config,
    ending: CancellationToken,
}

/// Why an API server did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store could not be read or written.
    #[error("the API server cannot read its store")]
    Store(#[from] carob_store::Error),
}

impl ApiServer {
    /// Loads the cache from the store and writes what every cluster has: the first namespaces and the Service
    /// `default/kubernetes`.
    pub async fn new(store: Arc<dyn Store>, config: Config) -> Result<Self, Error> {
        Ok(Self(Arc::new(Inner { store, config, ending: CancellationToken::new() })))
    }

    /// A client in this process that asks as `identity`.
    pub fn client(&self, identity: Identity) -> InProcess {
        InProcess::new(self.clone(), identity)
    }

    /// Serves on a socket until `shutdown`. The client certificate's common name is the user, its organizations the groups;
    /// `tls` must verify client certificates but allow clients without one, who get health and version only.
    pub async fn serve(&self, listener: TcpListener, tls: rustls::ServerConfig, shutdown: CancellationToken) {
        edge::serve(self.clone(), listener, tls, shutdown).await;
    }

    /// Ends all watches, so that connections can drain. Clients come again, to the next server.
    pub(crate) fn end_watches(&self) {
        self.0.ending.cancel();
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }
}
