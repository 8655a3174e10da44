//! What can be done to a bucket, within a transaction.

use std::collections::HashMap;
use std::sync::Arc;

use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

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

/// The tables of a transaction. What changes is kept beside them until [`Tables::finish`], so that a value which many
/// change is written once.
pub(crate) struct Tables<'a> {
    entries: Table<'a, (&'static str, &'static str, &'static str), &'static [u8]>,
    sizes: Table<'a, (&'static str, &'static str), u64>,
    limits: Limits,
    /// What was looked at, as it is now.
    values: HashMap<Place, Known>,
    bytes: HashMap<(Name, Name), u64>,
}

struct Known {
    value: Option<Vec<u8>>,
    changed: bool,
}

type Name = Arc<str>;
/// Space, bucket and key.
type Place = (Name, Name, String);

impl<'a> Tables<'a> {
    pub(crate) fn open(transaction: &'a WriteTransaction, limits: Limits) -> Result<Tables<'a>, Error> {
        let entries = transaction.open_table(ENTRIES).map_err(failed)?;
        let sizes = transaction.open_table(SIZES).map_err(failed)?;
        Ok(Tables { entries, sizes, limits, values: HashMap::new(), bytes: HashMap::new() })
    }

    /// Does one change. After [`Error::File`] the whole transaction is to be given up.
    pub(crate) fn apply(&mut self, space: &Name, bucket: &Name, change: Change) -> Result<Outcome, Error> {
        let place = |key: String| (space.clone(), bucket.clone(), key);
        match change {
            Change::Set(entries) => {
                let entries = entries.into_iter().map(|(key, value)| (place(key), Some(value)));
                self.put(space, bucket, entries.collect()).map(|()| Outcome::Done)
            }
            Change::Delete(keys) => {
                let entries = keys.into_iter().map(|key| (place(key), None));
                self.put(space, bucket, entries.collect()).map(|()| Outcome::Done)
            }
            Change::Increment { key, delta, min, max } => {
                let place = place(key);
                let sum = sum(&place.2, self.value(&place)?.as_deref(), delta, min, max)?;
                self.put(space, bucket, [(place, Some(sum.to_string().into_bytes()))].into())?;
                Ok(Outcome::Sum(sum))
            }
            Change::Swap { key, expected, value } => {
                let place = place(key);
                let current = self.value(&place)?;
                if *current != expected {
                    return Ok(Outcome::Swapped(Swapped::Changed(current.clone())));
                }
                self.put(space, bucket, [(place, Some(value))].into())?;
                Ok(Outcome::Swapped(Swapped::Done))
            }
        }
    }

    /// Removes everything of a space.
    pub(crate) fn remove_space(&mut self, space: &str) -> Result<(), Error> {
        self.values.retain(|place, _| &*place.0 != space);
        self.bytes.retain(|place, _| &*place.0 != space);
        let next = after(space);
        let range = (space, "", "")..(next.as_str(), "", "");
        self.entries.retain_in(range, |_, _| false).map_err(failed)?;
        self.sizes.retain_in((space, "")..(next.as_str(), ""), |_, _| false).map_err(failed)
    }

    /// Writes what has changed.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        for ((space, bucket, key), known) in self.values.iter().filter(|(_, known)| known.changed) {
            let place = (&**space, &**bucket, key.as_str());
            match &known.value {
                Some(value) => drop(self.entries.insert(place, value.as_slice()).map_err(failed)?),
                None => drop(self.entries.remove(place).map_err(failed)?),
            }
        }
        for ((space, bucket), bytes) in &self.bytes {
            self.sizes.insert((&**space, &**bucket), bytes).map_err(failed)?;
        }
        Ok(())
    }

    fn value(&mut self, place: &Place) -> Result<&Option<Vec<u8>>, Error> {
        if !self.values.contains_key(place) {
            let found = self.entries.get((&*place.0, &*place.1, place.2.as_str())).map_err(failed)?;
            let value = found.map(|value| value.value().to_vec());
            self.values.insert(place.clone(), Known { value, changed: false });
        }
        Ok(&self.values[place].value)
    }

    /// The limits are checked with what is replaced, before anything is changed.
    fn put(&mut self, space: &Name, bucket: &Name, entries: HashMap<Place, Option<Vec<u8>>>) -> Result<(), Error> {
        let (mut added, mut freed) = (0, 0);
        let bytes = |place: &Place, value: &Option<Vec<u8>>| {
            value.as_ref().map_or(0, |value| Limits::entry_bytes(&place.2, value))
        };
        for (place, value) in &entries {
            added += bytes(place, value);
            freed += bytes(place, self.value(place)?);
        }
        self.resize(space, bucket, added, freed)?;
        let changed = |(place, value)| (place, Known { value, changed: true });
        self.values.extend(entries.into_iter().map(changed));
        Ok(())
    }

    fn resize(&mut self, space: &Name, bucket: &Name, added: u64, freed: u64) -> Result<(), Error> {
        if added == freed {
            return Ok(());
        }
        let (own, all) = ((space.clone(), bucket.clone()), (space.clone(), Name::from("")));
        let bytes = self.size(&own)? + added - freed;
        let of_space = self.size(&all)? + added - freed;
        if added > freed && bytes > self.limits.bucket_bytes {
            return Err(Error::BucketFull { bucket: bucket.to_string(), bytes, limit: self.limits.bucket_bytes });
        }
        if added > freed && of_space > self.limits.space_bytes {
            return Err(Error::SpaceFull { bytes: of_space, limit: self.limits.space_bytes });
        }
        self.bytes.extend([(own, bytes), (all, of_space)]);
        Ok(())
    }

    fn size(&self, place: &(Name, Name)) -> Result<u64, Error> {
        if let Some(bytes) = self.bytes.get(place) {
            return Ok(*bytes);
        }
        let found = self.sizes.get((&*place.0, &*place.1)).map_err(failed)?;
        Ok(found.map_or(0, |bytes| bytes.value()))
    }
}

/// The first string after `text` in order.
pub(crate) fn after(text: &str) -> String {
    format!("{text}\0")
}

fn sum(key: &str, current: Option<&[u8]>, delta: i128, min: i128, max: i128) -> Result<i128, Error> {
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<i128>().ok();
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
        let text = |text: &'static str| Some(text.as_bytes());
        assert_eq!(sum("k", None, 5, 0, 10), Ok(5));
        assert_eq!(sum("k", text("7"), 3, 0, 10), Ok(10));
        assert_eq!(sum("k", text("-3"), 1, i128::MIN, 10), Ok(-2));
        assert!(matches!(sum("k", text("7"), 4, 0, 10), Err(Error::Overflow { .. })));
        assert!(matches!(
            sum("k", text("170141183460469231731687303715884105727"), 1, 0, i128::MAX),
            Err(Error::Overflow { .. })
        ));
        for wrong in ["", "seven", "1.5", "7 "] {
            assert_eq!(sum("k", text(wrong), 1, 0, 10), Err(Error::NotANumber { key: "k".into() }), "{wrong:?}");
        }
    }
}
