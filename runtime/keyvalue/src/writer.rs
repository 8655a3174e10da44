//! The one thread that writes.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use redb::Database;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::change::{Change, Outcome, Tables};
use crate::{Error, Limits, failed};

/// Changes that share one sync, at most.
const BATCH: usize = 1024;
/// Changes that may wait, beside [`ROOM`](crate::bucket::ROOM).
const WAITING: usize = 4096;

/// Something to write, and who waits for it.
pub(crate) enum Job {
    Change(ChangeJob),
    /// Remove all of a space, for good.
    Remove {
        space: String,
        answer: Answer<()>,
    },
}

pub(crate) struct ChangeJob {
    pub(crate) space: Arc<str>,
    pub(crate) bucket: Arc<str>,
    pub(crate) change: Change,
    pub(crate) answer: Answer<Outcome>,
    /// Its share of what may wait in memory.
    pub(crate) _room: OwnedSemaphorePermit,
}

type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// The thread, and the way to it. Dropping it writes what still waits.
pub(crate) struct Writer {
    /// `None` only while it is dropped.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(database: Arc<Database>, limits: Limits) -> io::Result<Writer> {
        let (jobs, waiting) = mpsc::channel(WAITING);
        let thread = thread::Builder::new().name("keyvalue".into()).spawn(move || run(&database, limits, waiting))?;
        Ok(Writer { jobs: Some(jobs), thread: Some(thread) })
    }

    pub(crate) async fn send(&self, job: Job) -> Result<(), Error> {
        let jobs = self.jobs.as_ref().ok_or(Error::Closed)?;
        jobs.send(job).await.map_err(|_| Error::Closed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// Writes until nobody can send any more.
fn run(database: &Database, limits: Limits, mut jobs: mpsc::Receiver<Job>) {
    let mut transactions = Transactions { database, limits, removed: HashSet::new() };
    let mut batch = Vec::new();
    while let Some(first) = jobs.blocking_recv() {
        batch.push(first);
        while batch.len() < BATCH
            && let Ok(next) = jobs.try_recv()
        {
            batch.push(next);
        }
        transactions.commit(&mut batch);
    }
}

struct Transactions<'a> {
    database: &'a Database,
    limits: Limits,
    /// A container that outlives its namespace by a moment must not bring a bucket back.
    removed: HashSet<String>,
}

/// An answer that is given once the transaction has been synced.
enum Pending {
    Change(Answer<Outcome>, Result<Outcome, Error>),
    Remove(Answer<()>),
}

impl Transactions<'_> {
    fn commit(&mut self, batch: &mut Vec<Job>) {
        let mut pending = Vec::with_capacity(batch.len());
        // Popped from the end, in the order in which they came.
        batch.reverse();
        let committed = self.write(batch, &mut pending);
        if let Err(error) = &committed {
            tracing::error!(%error, "buckets could not be written");
        }
        for answer in pending {
            match answer {
                Pending::Change(answer, outcome) => drop(answer.send(committed.clone().and(outcome))),
                Pending::Remove(answer) => drop(answer.send(committed.clone())),
            }
        }
        // Jobs that were not reached: the transaction failed before them.
        for job in batch.drain(..) {
            let error = committed.clone().err().unwrap_or(Error::Closed);
            match job {
                Job::Change(job) => drop(job.answer.send(Err(error))),
                Job::Remove { answer, .. } => drop(answer.send(Err(error))),
            }
        }
    }

    /// One transaction of all that waits. What one change is refused for concerns nobody else.
    fn write(&mut self, batch: &mut Vec<Job>, pending: &mut Vec<Pending>) -> Result<(), Error> {
        let transaction = self.database.begin_write().map_err(failed)?;
        {
            let mut tables = Tables::open(&transaction, self.limits)?;
            // One by one: what is left after an error is still to be answered.
            while let Some(job) = batch.pop() {
                match job {
                    Job::Remove { space, answer } => {
                        let done = tables.remove_space(&space);
                        pending.push(Pending::Remove(answer));
                        // Also for what follows in this batch.
                        self.removed.insert(space);
                        done?;
                    }
                    Job::Change(job) => {
                        let outcome = self.change(&mut tables, job.change, &job.space, &job.bucket);
                        let broken = outcome.clone().err().filter(|error| matches!(error, Error::File(_)));
                        pending.push(Pending::Change(job.answer, outcome));
                        broken.map_or(Ok(()), Err)?;
                    }
                }
            }
            tables.finish()?;
        }
        transaction.commit().map_err(failed)
    }

    fn change(
        &self,
        tables: &mut Tables,
        change: Change,
        space: &Arc<str>,
        bucket: &Arc<str>,
    ) -> Result<Outcome, Error> {
        if self.removed.contains(&**space) {
            return Err(Error::Removed);
        }
        tables.apply(space, bucket, change)
    }
}
