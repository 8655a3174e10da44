//! The store in one file, by redb.

#[cfg(test)]
mod crash;
mod holder;
mod log;
mod open;
mod thread;

use std::{path::Path, sync::Arc, thread::JoinHandle};

use tokio::sync::oneshot;

use self::{log::RedbLog, open::Opened};
use crate::{
    Error, OpenError, Options, Revision, Write,
    backend::Backend,
    core::Core,
    queue::{Compaction, Queue, Transaction},
    writer::Writer,
};

/// A store in one file, held by one process at a time.
///
/// A thread of its own writes: it takes whatever waits, makes one transaction of redb of it, syncs once and answers all.
/// Dropping the store does what still waits, lets go of the file and ends its watches.
pub struct Redb {
    core: Arc<Core<RedbLog>>,
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl Redb {
    /// Opens the store in the file at `path`, and creates it if there is none.
    ///
    /// Reads the whole file, so it takes a while: call it where blocking is fine.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        Self::start(open::file(path, &options)?, &options)
            .map_err(|source| OpenError::Io { path: path.to_owned(), source })
    }

    fn start(opened: Opened, options: &Options) -> std::io::Result<Self> {
        let core = Core::new(opened.log, opened.state);
        let writer = Writer::new(core.clone(), options);
        let queue = Arc::new(Queue::default());
        let thread = thread::spawn(writer, queue.clone())?;
        Ok(Self { core, queue, thread: Some(thread) })
    }
}

impl Drop for Redb {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Backend for Redb {
    type Log = RedbLog;

    fn core(&self) -> &Arc<Core<RedbLog>> {
        &self.core
    }

    async fn write(&self, writes: Vec<Write>) -> Result<Revision, Error> {
        let (answer, answered) = oneshot::channel();
        self.queue.transaction(Transaction { writes, answer })?;
        answered.await.unwrap_or_else(|_| Err(Error::closed()))
    }

    async fn compact(&self, before: Revision) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        self.queue.compaction(Compaction { before, answer })?;
        answered.await.unwrap_or_else(|_| Err(Error::closed()))
    }
}
