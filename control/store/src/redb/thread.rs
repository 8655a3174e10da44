//! The writer's thread: takes what waits, commits it, answers it; and tidies up when nothing waits.

use std::{
    io,
    sync::Arc,
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    Error, Revision, Write,
    log::Log,
    queue::{Queue, Transaction, Work},
    writer::Writer,
};

/// How long nothing is written before the store tidies up, a step at a time.
const QUIET: Duration = Duration::from_secs(1);

/// How many transactions one commit takes at most, so that the first of them does not wait for ever.
const BATCH: usize = 2048;

/// How long a commit may be put off, at most, for the clients just answered to ask again. It is at most a quarter of what
/// the last commit took, so it costs little where syncing is fast.
const PATIENCE: Duration = Duration::from_millis(1);

/// Runs `writer` until `queue` is closed and empty.
pub(super) fn spawn<L: Log>(writer: Writer<L>, queue: Arc<Queue>) -> io::Result<JoinHandle<()>> {
    Builder::new().name("store-writer".into()).spawn(move || Thread { writer, queue, crowd: 0, took: QUIET }.run())
}

struct Thread<L> {
    writer: Writer<L>,
    queue: Arc<Queue>,
    /// How many transactions the last commit took: as many clients may be about to ask again.
    crowd: usize,
    /// How long the last commit took.
    took: Duration,
}

impl<L: Log> Thread<L> {
    fn run(mut self) {
        // However this ends, a panic in redb included, nobody waits for an answer that will not come.
        let _abandon = Abandon(self.queue.clone());
        let mut quiet_until = Some(Instant::now() + QUIET);
        loop {
            let work = self.queue.take(quiet_until.into_iter().chain(self.writer.wake()).min());
            if work.is_empty() {
                if work.closed {
                    return;
                }
                let tidied = self.writer.tidy(Instant::now());
                quiet_until = tidied.then(Instant::now);
                continue;
            }
            self.work(work);
            quiet_until = Some(Instant::now() + QUIET);
        }
    }

    fn work(&mut self, mut work: Work) {
        let came = work.transactions.len();
        if came > 0 && came < self.crowd {
            self.queue.gather(self.crowd - came, PATIENCE.min(self.took / 4));
            work.extend(self.queue.take(Some(Instant::now())));
        }
        for compaction in work.compactions {
            // Whoever asked may have gone.
            let _ = compaction.answer.send(self.writer.compact(compaction.before));
        }
        let mut transactions = work.transactions;
        while !transactions.is_empty() {
            let rest = transactions.split_off(transactions.len().min(BATCH));
            self.commit(transactions);
            transactions = rest;
        }
    }

    fn commit(&mut self, transactions: Vec<Transaction>) {
        let begun = Instant::now();
        self.crowd = transactions.len();
        let (batch, waiting): (Vec<Vec<Write>>, Vec<Answer>) =
            transactions.into_iter().map(|transaction| (transaction.writes, transaction.answer)).unzip();
        let answers = self.writer.commit(batch, begun);
        self.took = begun.elapsed();
        for (answer, waiting) in answers.into_iter().zip(waiting) {
            // Whoever asked may have gone.
            let _ = waiting.send(answer);
        }
    }
}

type Answer = oneshot::Sender<Result<Revision, Error>>;

struct Abandon(Arc<Queue>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
