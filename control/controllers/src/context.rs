use std::sync::Arc;

use carob_reconcile::{Informers, Queue, Reconcile, Recorder, recorder};
use kube::Client;
use tokio::task::JoinSet;

/// What every controller is made from: the shared informers, a client of its own, and a set that owns its tasks.
pub(crate) struct Context<'a> {
    pub(crate) informers: &'a Informers,
    pub(crate) client_for: &'a (dyn Fn(&str) -> Client + Sync),
    pub(crate) tasks: JoinSet<()>,
}

impl Context<'_> {
    /// A client with the identity of the ServiceAccount that Kubernetes gives to this controller.
    pub(crate) fn client(&self, controller: &str) -> Client {
        (self.client_for)(&format!("system:serviceaccount:kube-system:{controller}"))
    }

    /// A recorder whose Events say that they come from this controller.
    pub(crate) fn recorder(&mut self, controller: &'static str) -> Recorder {
        let (recorder, writer) = recorder(self.client(controller), controller);
        self.tasks.spawn(writer.run());
        recorder
    }

    /// Runs a controller over its queue, at most `workers` objects at once.
    pub(crate) fn spawn<R: Reconcile>(&mut self, controller: Arc<R>, queue: Arc<Queue<R::Key>>, workers: usize) {
        self.tasks.spawn(carob_reconcile::run(controller, queue, workers));
    }
}
