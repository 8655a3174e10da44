use crate::Error;

/// What keys, values, buckets and spaces may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest key, in bytes.
    pub key_bytes: usize,
    /// Longest value, in bytes.
    pub value_bytes: usize,
    /// Most entries, or keys, of one call.
    pub batch_entries: usize,
    /// Most bytes of keys and values of one call.
    pub batch_bytes: usize,
    /// Most bytes of a bucket, counted as [`Limits::entry_bytes`] does.
    pub bucket_bytes: u64,
    /// Most bytes of all buckets of a space.
    pub space_bytes: u64,
    /// Most keys of one page of a list.
    pub page_keys: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            key_bytes: 1024,
            value_bytes: 1 << 20,
            batch_entries: 1000,
            batch_bytes: 4 << 20,
            bucket_bytes: 64 << 20,
            space_bytes: 256 << 20,
            page_keys: 1000,
        }
    }
}

/// What an entry costs beside its key and value, so that a million empty values are not free.
const ENTRY: usize = 64;

impl Limits {
    /// What an entry takes of its bucket.
    #[must_use]
    pub fn entry_bytes(key: &str, value: &[u8]) -> u64 {
        (key.len() + value.len() + ENTRY) as u64
    }

    pub(crate) fn key(&self, key: &str) -> Result<(), Error> {
        if key.is_empty() {
            return Err(Error::EmptyKey);
        }
        if key.len() > self.key_bytes {
            return Err(Error::KeyTooLong { bytes: key.len(), limit: self.key_bytes });
        }
        Ok(())
    }

    pub(crate) fn keys(&self, keys: &[String]) -> Result<(), Error> {
        self.entries(keys.len())?;
        keys.iter().try_for_each(|key| self.key(key))
    }

    pub(crate) fn value(&self, value: &[u8]) -> Result<(), Error> {
        if value.len() > self.value_bytes {
            return Err(Error::ValueTooLong { bytes: value.len(), limit: self.value_bytes });
        }
        Ok(())
    }

    pub(crate) fn batch(&self, entries: &[(String, Vec<u8>)]) -> Result<(), Error> {
        self.entries(entries.len())?;
        entries.iter().try_for_each(|(key, value)| self.key(key).and_then(|()| self.value(value)))?;
        let bytes: usize = entries.iter().map(|(key, value)| key.len() + value.len()).sum();
        if bytes > self.batch_bytes {
            return Err(Error::BatchTooLarge { what: format!("{bytes} bytes"), limit: self.batch_bytes });
        }
        Ok(())
    }

    fn entries(&self, entries: usize) -> Result<(), Error> {
        if entries > self.batch_entries {
            return Err(Error::BatchTooLarge { what: format!("{entries} keys"), limit: self.batch_entries });
        }
        Ok(())
    }
}
