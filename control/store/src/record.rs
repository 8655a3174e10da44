//! One entry of the log, and how it is written down.

use bytes::Bytes;

use crate::{Error, KeyValue, Revision};

/// Where an entry stands in the log: its revision, and its place among the changes of that revision.
pub(crate) type Position = (u64, u32);

/// One key's change, as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) revision: Revision,
    pub(crate) index: u32,
    pub(crate) key: Bytes,
    /// The revision that made the key exist. It stands in every record, since the creating one may be compacted away.
    pub(crate) created: Revision,
    /// What the key holds from here on; `None` is a tombstone.
    pub(crate) value: Option<Bytes>,
}

const LIVE: u8 = 1;
const TOMBSTONE: u8 = 0;
/// A kind byte, the creating revision and the key's length.
const HEADER: usize = 1 + 8 + 4;

impl Record {
    pub(crate) fn position(&self) -> Position {
        (self.revision.0, self.index)
    }

    pub(crate) fn key_value(&self) -> Option<KeyValue> {
        self.value.clone().map(|value| KeyValue {
            key: self.key.clone(),
            value,
            created: self.created,
            modified: self.revision,
        })
    }

    pub(crate) fn encoded_len(&self) -> usize {
        HEADER + self.key.len() + self.value.as_ref().map_or(0, Bytes::len)
    }

    /// Fills `out`, which is [`Record::encoded_len`] bytes long.
    pub(crate) fn encode(&self, out: &mut [u8]) {
        let (header, rest) = out.split_at_mut(HEADER);
        let (key, value) = rest.split_at_mut(self.key.len());
        header[0] = if self.value.is_some() { LIVE } else { TOMBSTONE };
        header[1..9].copy_from_slice(&self.created.0.to_le_bytes());
        // Keys are names and paths: the API server's limits keep them far below 4 GiB.
        header[9..].copy_from_slice(&(self.key.len() as u32).to_le_bytes());
        key.copy_from_slice(&self.key);
        value.copy_from_slice(self.value.as_deref().unwrap_or_default());
    }

    pub(crate) fn decode((revision, index): Position, bytes: &[u8]) -> Result<Self, Error> {
        let damaged = || Error::Backend(format!("the log entry {revision}.{index} is damaged"));
        let (header, rest) = bytes.split_at_checked(HEADER).ok_or_else(damaged)?;
        let created = u64::from_le_bytes(header[1..9].try_into().map_err(|_| damaged())?);
        let key_len = u32::from_le_bytes(header[9..].try_into().map_err(|_| damaged())?) as usize;
        let (key, value) = rest.split_at_checked(key_len).ok_or_else(damaged)?;
        Ok(Self {
            revision: Revision(revision),
            index,
            key: Bytes::copy_from_slice(key),
            created: Revision(created),
            value: match header[0] {
                LIVE => Some(Bytes::copy_from_slice(value)),
                TOMBSTONE => None,
                _ => return Err(damaged()),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: Option<&'static [u8]>) -> Record {
        Record {
            revision: Revision(7),
            index: 2,
            key: Bytes::from_static(b"/pods/a"),
            created: Revision(3),
            value: value.map(Bytes::from_static),
        }
    }

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        for value in [Some(&b"bytes"[..]), Some(b""), None] {
            let record = record(value);
            let mut bytes = vec![0; record.encoded_len()];
            record.encode(&mut bytes);
            assert_eq!(Record::decode(record.position(), &bytes).unwrap(), record);
        }
    }

    #[test]
    fn damage_is_an_error() {
        let record = record(Some(b"bytes"));
        let mut bytes = vec![0; record.encoded_len()];
        record.encode(&mut bytes);
        assert!(Record::decode((1, 0), &bytes[..HEADER - 1]).is_err(), "a short header");
        assert!(Record::decode((1, 0), &bytes[..HEADER + 3]).is_err(), "a short key");
        bytes[0] = 9;
        assert!(Record::decode((1, 0), &bytes).is_err(), "an unknown kind");
    }
}
