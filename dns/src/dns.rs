use std::sync::Arc;

use carob_reconcile::Informers;
use tokio_util::sync::CancellationToken;

use crate::directory::Directory;
use crate::forward::{Forwarder, Upstreams};
use crate::metrics::Metrics;
use crate::server::{Answerer, Listener};
use crate::zone::Zone;

/// All that knows names: the zone, and whom to ask for those of others. Cloning shares it.
#[derive(Clone)]
pub struct Dns {
    pub(crate) directory: Arc<Directory>,
    pub(crate) forwarder: Arc<Forwarder>,
    metrics: Arc<Metrics>,
}

impl Dns {
    /// Knows no names of the cluster before [`Dns::run`].
    pub fn new(zone: Zone, upstreams: Upstreams) -> Dns {
        Dns::with(Directory::new(zone), upstreams)
    }

    /// Knows what is in `zone`, which is all there is.
    pub fn complete(zone: Zone, upstreams: Upstreams) -> Dns {
        Dns::with(Directory::complete_with(zone), upstreams)
    }

    fn with(directory: Arc<Directory>, upstreams: Upstreams) -> Dns {
        let metrics = Arc::<Metrics>::default();
        let forwarder = Arc::new(Forwarder::new(upstreams, metrics.clone()));
        Dns { directory, forwarder, metrics }
    }

    /// Follows what `informers` learn, for as long as they live, and answers at `listener` until `stop`. Before all has been
    /// listed, questions about the cluster are answered by `SERVFAIL`.
    pub async fn run(&self, informers: &Informers, listener: Listener, stop: CancellationToken) {
        let following = async {
            self.directory.follow(informers).await;
            std::future::pending().await
        };
        if let Ok(address) = listener.local_address() {
            tracing::info!("answering DNS at {address}");
        }
        tokio::select! {
            () = self.serve(listener, stop) => {}
            () = following => {}
        }
    }

    /// Answers at `listener` until `stop`.
    pub async fn serve(&self, listener: Listener, stop: CancellationToken) {
        let answerer = Answerer {
            directory: self.directory.clone(),
            forwarder: self.forwarder.clone(),
            metrics: self.metrics.clone(),
        };
        listener.serve(Arc::new(answerer), stop).await;
    }

    /// What was counted, in Prometheus' text format.
    pub fn metrics(&self) -> String {
        self.metrics.text()
    }
}
