use std::sync::Arc;

use redb::{Database, ReadableDatabase};
use tokio::sync::{Semaphore, oneshot};

use crate::change::{Change, ENTRIES, Outcome, after};
use crate::writer::{ChangeJob, Job, Writer};
use crate::{Error, Limits, Swapped, failed};

/// What all buckets of a file share.
pub(crate) struct Shared {
    pub(crate) database: Arc<Database>,
    pub(crate) limits: Limits,
    pub(crate) writer: Writer,
    /// Bytes that may wait for the writer, over all callers.
    pub(crate) room: Arc<Semaphore>,
}

/// One bucket of one space. It exists as soon as something is in it.
#[derive(Clone)]
pub struct Bucket {
    pub(crate) shared: Arc<Shared>,
    pub(crate) space: Arc<str>,
    pub(crate) name: Arc<str>,
}

/// Some of a bucket's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In order.
    pub keys: Vec<String>,
    /// Whether there are more after the last of these.
    pub more: bool,
}

impl Bucket {
    /// The values of `keys`, in their order, all as of one moment.
    ///
    /// # Errors
    /// A key is empty or too long, there are too many, their values are more than one call takes, or the file fails.
    pub async fn get(&self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        self.shared.limits.keys(&keys)?;
        let bucket = self.clone();
        self.read(move || bucket.get_now(&keys)).await
    }

    /// The keys after `after`, in order, as many as one page takes.
    ///
    /// # Errors
    /// The file fails.
    pub async fn list(&self, after: Option<String>) -> Result<Page, Error> {
        let bucket = self.clone();
        self.read(move || bucket.list_now(after.as_deref())).await
    }

    /// Sets all of these; the last one of a key counts.
    ///
    /// # Errors
    /// A limit would be exceeded, the space was removed, or the file fails.
    pub async fn set(&self, entries: Vec<(String, Vec<u8>)>) -> Result<(), Error> {
        self.shared.limits.batch(&entries)?;
        self.change(Change::Set(entries)).await.map(drop)
    }

    /// Removes those of these that exist.
    ///
    /// # Errors
    /// A key is empty or too long, there are too many, the space was removed, or the file fails.
    pub async fn delete(&self, keys: Vec<String>) -> Result<(), Error> {
        self.shared.limits.keys(&keys)?;
        self.change(Change::Delete(keys)).await.map(drop)
    }

    /// Adds `delta` to a number in decimal digits, and answers the sum. What does not exist is 0.
    ///
    /// # Errors
    /// The value is no number, the sum is not within `min..=max`, a limit would be exceeded, the space was removed, or the
    /// file fails.
    pub async fn increment(&self, key: String, delta: i128, min: i128, max: i128) -> Result<i128, Error> {
        self.shared.limits.key(&key)?;
        match self.change(Change::Increment { key, delta, min, max }).await? {
            Outcome::Sum(sum) => Ok(sum),
            _ => Err(Error::Closed),
        }
    }

    /// Sets the value if it is `expected`, where `None` is "does not exist".
    ///
    /// # Errors
    /// A limit would be exceeded, the space was removed, or the file fails.
    pub async fn swap(&self, key: String, expected: Option<Vec<u8>>, value: Vec<u8>) -> Result<Swapped, Error> {
        self.shared.limits.key(&key)?;
        self.shared.limits.value(&value)?;
        match self.change(Change::Swap { key, expected, value }).await? {
            Outcome::Swapped(swapped) => Ok(swapped),
            _ => Err(Error::Closed),
        }
    }

    async fn change(&self, change: Change) -> Result<Outcome, Error> {
        let bytes = change.bytes().clamp(1, ROOM) as u32;
        let room = self.shared.room.clone().acquire_many_owned(bytes).await.map_err(|_| Error::Closed)?;
        let (answer, answered) = oneshot::channel();
        let (space, bucket) = (self.space.clone(), self.name.clone());
        let job = Job::Change(ChangeJob { space, bucket, change, answer, _room: room });
        self.shared.writer.send(job).await?;
        answered.await.map_err(|_| Error::Closed)?
    }

    /// Reads may wait for the disk, so they are done where that is fine.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        tokio::task::spawn_blocking(read).await.map_err(|_| Error::Closed)?
    }

    fn get_now(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let entries = self.shared.database.begin_read().map_err(failed)?.open_table(ENTRIES).map_err(failed)?;
        let mut bytes = 0;
        let value = |key: &String| {
            let found = entries.get((&*self.space, &*self.name, key.as_str())).map_err(failed)?;
            let value = found.map(|value| value.value().to_vec());
            bytes += value.as_ref().map_or(0, Vec::len);
            // One value always fits; of several, no more than can be set at once.
            if keys.len() > 1 && bytes > self.shared.limits.batch_bytes {
                let what = format!("{bytes} bytes or more");
                return Err(Error::BatchTooLarge { what, limit: self.shared.limits.batch_bytes });
            }
            Ok(value)
        };
        keys.iter().map(value).collect()
    }

    fn list_now(&self, last: Option<&str>) -> Result<Page, Error> {
        let entries = self.shared.database.begin_read().map_err(failed)?.open_table(ENTRIES).map_err(failed)?;
        let (first, end) = (last.map(after).unwrap_or_default(), after(&self.name));
        let range = (&*self.space, &*self.name, first.as_str())..(&*self.space, end.as_str(), "");
        let mut page = Page::default();
        for entry in entries.range(range).map_err(failed)? {
            if page.keys.len() == self.shared.limits.page_keys {
                page.more = true;
                break;
            }
            let (key, _) = entry.map_err(failed)?;
            page.keys.push(key.value().2.to_owned());
        }
        Ok(page)
    }
}

/// Bytes of changes that may wait for the writer.
pub(crate) const ROOM: usize = 32 << 20;

impl Change {
    fn bytes(&self) -> usize {
        match self {
            Change::Set(entries) => entries.iter().map(|(key, value)| key.len() + value.len()).sum(),
            Change::Delete(keys) => keys.iter().map(String::len).sum(),
            Change::Increment { key, .. } => key.len(),
            Change::Swap { key, expected, value } => key.len() + value.len() + expected.as_ref().map_or(0, Vec::len),
        }
    }
}
