//! What makes a store of a log: reading is the same for all, writing is each backend's own.

use std::{future::Future, sync::Arc};

use futures::stream::BoxStream;

use crate::{Error, Event, KeyValue, Range, Revision, Store, Write, core::Core, log::Log, watch};

/// Who appends to the log of a [`Core`].
pub(crate) trait Backend: Send + Sync + 'static {
    type Log: Log;

    fn core(&self) -> &Arc<Core<Self::Log>>;

    /// See [`Store::write`].
    fn write(&self, writes: Vec<Write>) -> impl Future<Output = Result<Revision, Error>> + Send;

    /// See [`Store::compact`].
    fn compact(&self, before: Revision) -> impl Future<Output = Result<(), Error>> + Send;
}

#[async_trait::async_trait]
impl<B: Backend> Store for B {
    fn revision(&self) -> Revision {
        self.core().revision()
    }

    async fn get(&self, key: &[u8]) -> Result<Option<KeyValue>, Error> {
        Ok(self.core().current(key))
    }

    async fn range(&self, start: &[u8], end: &[u8], limit: usize, at: Option<Revision>) -> Result<Range, Error> {
        self.core().range(start, end, limit, at).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<Revision, Error> {
        Backend::write(self, writes).await
    }

    async fn watch(
        &self,
        start: &[u8],
        end: &[u8],
        after: Revision,
    ) -> Result<BoxStream<'static, Result<Event, Error>>, Error> {
        watch::watch(self.core(), start, end, after)
    }

    async fn compact(&self, before: Revision) -> Result<(), Error> {
        Backend::compact(self, before).await
    }
}
