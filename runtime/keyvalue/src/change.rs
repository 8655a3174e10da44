//! What can be done to a bucket, within a transaction.

use redb::{Table, TableDefinition, WriteTransaction};

use crate::{Error, Limits, failed};

/// Space, bucket and key.
pub(crate) const ENTRIES: TableDefinition<(&str, &str, &str), &[u8]> = TableDefinition::new("entries");
/// Bytes by space and bucket; with an empty bucket, those of the whole space.
pub(crate) const SIZES: TableDefinition<(&str, &str), u64> = TableDefinition::new("sizes");

/// A change of one bucket. It is done as a whole or, with an error, not at all.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Set(Vec<(String, Vec<u8>)>),
    Delete(Vec<String>),
    Increment { key: String, delta: i128, min: i128, max: i128 },
    Swap { key: String, expected: Option<Vec<u8>>, value: Vec<u8> },
}

/// What a change answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Sum(i128),
    Swapped(Swapped),
}

/// What became of a compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swapped {
    /// The value was as expected, and is now the new one.
    Done,
    /// It was not; this is the value.
    Changed(Option<Vec<u8>>),
}

/// The tables of a transaction.
pub(crate) struct Tables<'a> {
    entries: Table<'a, (&'static str, &'static str, &'static str), &'static [u8]>,
    sizes: Table<'a, (&'static str, &'static str), u64>,
    limits: Limits,
}

impl<'a> Tables<'a> {
    pub(crate) fn open(transaction: &'a WriteTransaction, limits: Limits) -> Result<Tables<'a>, Error> {
        let entries = transaction.open_table(ENTRIES).map_err(failed)?;
        let sizes = transaction.open_table(SIZES).map_err(failed)?;
        Ok(Tables { entries, sizes, limits })
    }

    /// Does one change. After [`Error::File`] the whole transaction is to be given up.
    pub(crate) fn apply(&mut self, space: &str, bucket: &str, change: Change) -> Result<Outcome, Error> {
        match change {
            Change::Set(entries) => self.set(space, bucket, &entries).map(|()| Outcome::Done),
            Change::Delete(keys) => self.delete(space, bucket, &keys).map(|()| Outcome::Done),
            Change::Increment { key, delta, min, max } => {
                let sum = sum(&key, self.get(space, bucket, &key)?, delta, min, max)?;
                self.set(space, bucket, &[(key, sum.to_string().into_bytes())])?;
                Ok(Outcome::Sum(sum))
            }
            Change::Swap { key, expected, value } => {
                let current = self.get(space, bucket, &key)?;
                if current != expected {
                    return Ok(Outcome::Swapped(Swapped::Changed(current)));
                }
                self.set(space, bucket, &[(key, value)])?;
                Ok(Outcome::Swapped(Swapped::Done))
            }
        }
    }

    /// Removes everything of a space.
    pub(crate) fn remove_space(&mut self, space: &str) -> Result<(), Error> {
        let next = after(space);
        let range = (space, "", "")..(next.as_str(), "", "");
        self.entries.retain_in(range, |_, _| false).map_err(failed)?;
        self.sizes.retain_in((space, "")..(next.as_str(), ""), |_, _| false).map_err(failed)
    }

    fn get(&self, space: &str, bucket: &str, key: &str) -> Result<Option<Vec<u8>>, Error> {
        use redb::ReadableTable;
        let found = self.entries.get((space, bucket, key)).map_err(failed)?;
        Ok(found.map(|value| value.value().to_vec()))
    }

    /// The limits are checked with what the entries would replace, before anything is written.
    fn set(&mut self, space: &str, bucket: &str, entries: &[(String, Vec<u8>)]) -> Result<(), Error> {
        let last: std::collections::BTreeMap<&str, &[u8]> =
            entries.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
        let (mut added, mut freed) = (0, 0);
        for (key, value) in &last {
            added += Limits::entry_bytes(key, value);
            freed += self.get(space, bucket, key)?.map_or(0, |old| Limits::entry_bytes(key, &old));
        }
        self.resize(space, bucket, added, freed)?;
        for (key, value) in last {
            self.entries.insert((space, bucket, key), value).map_err(failed)?;
        }
        Ok(())
    }

    fn delete(&mut self, space: &str, bucket: &str, keys: &[String]) -> Result<(), Error> {
        let mut freed = 0;
        for key in keys {
            if let Some(old) = self.entries.remove((space, bucket, key.as_str())).map_err(failed)? {
                freed += Limits::entry_bytes(key, old.value());
            }
        }
        self.resize(space, bucket, 0, freed)
    }

    fn resize(&mut self, space: &str, bucket: &str, added: u64, freed: u64) -> Result<(), Error> {
        if added == freed {
            return Ok(());
        }
        let grows = added > freed;
        let bytes = self.size(space, bucket)? + added - freed;
        let of_space = self.size(space, "")? + added - freed;
        if grows && bytes > self.limits.bucket_bytes {
            return Err(Error::BucketFull { bucket: bucket.to_owned(), bytes, limit: self.limits.bucket_bytes });
        }
        if grows && of_space > self.limits.space_bytes {
            return Err(Error::SpaceFull { bytes: of_space, limit: self.limits.space_bytes });
        }
        self.sizes.insert((space, bucket), bytes).map_err(failed)?;
        self.sizes.insert((space, ""), of_space).map_err(failed)?;
        Ok(())
    }

    fn size(&self, space: &str, bucket: &str) -> Result<u64, Error> {
        use redb::ReadableTable;
        Ok(self.sizes.get((space, bucket)).map_err(failed)?.map_or(0, |bytes| bytes.value()))
    }
}

/// The first string after `text` in order.
pub(crate) fn after(text: &str) -> String {
    format!("{text}\0")
}

fn sum(key: &str, current: Option<Vec<u8>>, delta: i128, min: i128, max: i128) -> Result<i128, Error> {
    let number = |text: Vec<u8>| String::from_utf8(text).ok()?.parse::<i128>().ok();
    let current = match current {
        Some(text) => number(text).ok_or_else(|| Error::NotANumber { key: key.to_owned() })?,
        None => 0,
    };
    let overflow = |sum: String| Error::Overflow { key: key.to_owned(), sum, min, max };
    let sum = current.checked_add(delta).ok_or_else(|| overflow(format!("{current} + {delta}")))?;
    if (min..=max).contains(&sum) { Ok(sum) } else { Err(overflow(sum.to_string())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_stay_within_their_bounds() {
        let text = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(sum("k", None, 5, 0, 10), Ok(5));
        assert_eq!(sum("k", text("7"), 3, 0, 10), Ok(10));
        assert_eq!(sum("k", text("-3"), 1, i128::MIN, 10), Ok(-2));
        assert!(matches!(sum("k", text("7"), 4, 0, 10), Err(Error::Overflow { .. })));
        assert!(matches!(sum("k", text(&i128::MAX.to_string()), 1, 0, i128::MAX), Err(Error::Overflow { .. })));
        for wrong in ["", "seven", "1.5", "7 "] {
            assert_eq!(sum("k", text(wrong), 1, 0, 10), Err(Error::NotANumber { key: "k".into() }), "{wrong:?}");
        }
    }
}
