use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::exporter::Exporter;

/// How long a call waits for an exporter that is not running: as long as a request waits for an instance.
const WAIT: Duration = Duration::from_secs(10);

/// The place where a container that exports interfaces is found, whichever run of it is there.
pub struct Peer {
    name: String,
    current: watch::Sender<Option<Arc<Exporter>>>,
    users: watch::Sender<usize>,
}

impl Peer {
    /// A place without an exporter; `name` is for messages.
    pub fn new(name: impl Into<String>) -> Arc<Peer> {
        let (current, users) = (watch::Sender::new(None), watch::Sender::new(0));
        Arc::new(Peer { name: name.into(), current, users })
    }

    /// The container's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a run of the container is there.
    pub fn is_running(&self) -> bool {
        self.current.borrow().is_some()
    }

    pub(super) fn plug(&self, exporter: Arc<Exporter>) {
        self.current.send_replace(Some(exporter));
    }

    /// Takes `exporter` away, unless the next run is there already.
    pub(super) fn unplug(&self, exporter: &Arc<Exporter>) {
        self.current.send_if_modified(|current| {
            let is_it = current.as_ref().is_some_and(|current| Arc::ptr_eq(current, exporter));
            is_it && current.take().is_some()
        });
    }

    pub(super) async fn exporter(&self) -> wasmtime::Result<Arc<Exporter>> {
        let mut current = self.current.subscribe();
        let found = timeout(WAIT, current.wait_for(Option::is_some)).await;
        let found = found.ok().and_then(Result::ok).and_then(|current| current.clone());
        found.ok_or_else(|| wasmtime::format_err!("container {:?} is not running", self.name))
    }

    /// Somebody whose imports lead here, until it is dropped.
    pub(super) fn user(self: &Arc<Self>) -> User {
        self.users.send_modify(|users| *users += 1);
        User(self.clone())
    }

    /// Ends when no container's imports lead here any more.
    pub(crate) async fn unused(&self) {
        // Both ends are in `self`, so it cannot fail.
        let _ = self.users.subscribe().wait_for(|users| *users == 0).await;
    }
}

pub(super) struct User(Arc<Peer>);

impl std::ops::Deref for User {
    type Target = Peer;

    fn deref(&self) -> &Peer {
        &self.0
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.0.users.send_modify(|users| *users -= 1);
    }
}
