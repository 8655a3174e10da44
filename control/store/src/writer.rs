//! The one writer: turns a batch of transactions into one durable step of the log, then shows it and answers it.

use std::{sync::Arc, time::Instant};

use crate::{
    Error, Revision, Write,
    core::Core,
    history::{History, Options},
    log::{Batch, Log},
    record::Record,
    stage::Stage,
};

/// How many forgotten entries ride along with one batch, beside two for each entry that is added: forgetting catches up
/// with any writer, and holds none up.
const FORGET_AT_ONCE: usize = 1024;

/// See the module. There is one for each log.
pub(crate) struct Writer<L> {
    core: Arc<Core<L>>,
    history: History,
    /// Why the log failed. It takes nothing more: what a failed sync left on disk is known only after opening again.
    failed: Option<Error>,
    /// Whether something was appended since the log was settled.
    unsettled: bool,
}

impl<L: Log> Writer<L> {
    pub(crate) fn new(core: Arc<Core<L>>, options: &Options) -> Self {
        Self { core, history: History::new(options), failed: None, unsettled: false }
    }

    /// Applies transactions in order. The answers are true when this returns, and not before: a conflict, too, may be one
    /// with a transaction of the same batch.
    pub(crate) fn commit(&mut self, batch: Vec<Vec<Write>>, now: Instant) -> Vec<Result<Revision, Error>> {
        if let Some(failed) = &self.failed {
            return batch.iter().map(|_| Err(failed.clone())).collect();
        }
        let (answers, records) = self.stage(batch);
        if records.is_empty() {
            return answers;
        }
        let upkeep = self.upkeep(now, records.len());
        let mut step = Batch { records, ..upkeep };
        match self.append(&mut step) {
            Ok(()) => answers,
            Err(error) => answers.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    /// Moves the compaction point.
    pub(crate) fn compact(&mut self, before: Revision) -> Result<(), Error> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let (newest, compacted) = self.place();
        if before > newest {
            return Err(Error::Future { asked: before, newest });
        }
        if before <= compacted {
            return Ok(());
        }
        let mut step = self.forget(Some(before), 0);
        self.append(&mut step)
    }

    /// Does what waits for a quiet moment. False if there was nothing.
    pub(crate) fn tidy(&mut self, now: Instant) -> bool {
        if self.failed.is_some() {
            return false;
        }
        let mut step = self.upkeep(now, 0);
        step.settle = step.is_empty() && self.unsettled;
        !step.is_empty() && self.append(&mut step).is_ok()
    }

    /// When [`Writer::tidy`] will have something to do, if nothing is written until then.
    pub(crate) fn wake(&self) -> Option<Instant> {
        if self.failed.is_some() {
            return None;
        }
        let (newest, compacted) = self.place();
        self.history.wake(newest, compacted)
    }

    fn stage(&self, batch: Vec<Vec<Write>>) -> (Vec<Result<Revision, Error>>, Vec<Record>) {
        let state = self.core.state.read();
        let mut stage = Stage::new(&state.index, state.revision);
        let answers = batch.into_iter().map(|writes| stage.transaction(writes)).collect();
        (answers, stage.into_records())
    }

    /// What compaction has to do now: move on, if it is time, and forget some more.
    fn upkeep(&mut self, now: Instant, added: usize) -> Batch {
        let (newest, compacted) = self.place();
        let due = self.history.due(now, newest, compacted);
        self.forget(due, added)
    }

    /// The index lets go before the log does, so that nobody is sent to an entry that is gone.
    fn forget(&self, due: Option<Revision>, added: usize) -> Batch {
        let compacted = due.unwrap_or(self.place().1);
        if due.is_none() && !self.core.state.read().index.is_forgettable(compacted) {
            return Batch::default();
        }
        let mut state = self.core.state.write();
        state.compacted = compacted;
        let forgotten = state.index.forget(compacted, FORGET_AT_ONCE + 2 * added);
        Batch { forgotten, compacted: due, ..Batch::default() }
    }

    fn append(&mut self, step: &mut Batch) -> Result<(), Error> {
        if let Err(error) = self.core.log.append(step) {
            tracing::error!(%error, "the store failed");
            self.failed = Some(error.clone());
            return Err(error);
        }
        self.unsettled = !step.settle;
        self.core.publish(&step.records);
        Ok(())
    }

    fn place(&self) -> (Revision, Revision) {
        let state = self.core.state.read();
        (state.revision, state.compacted)
    }
}
