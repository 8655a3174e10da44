use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::io::{Errno, ReadWriteFlags, pwritev2};

use super::mount::Quota;

/// A file as a guest writes to it, within the mount's quota. Everything here blocks.
#[derive(Clone)]
pub(super) struct Writable {
    pub(super) file: Arc<File>,
    pub(super) quota: Option<Arc<dyn Quota>>,
}

/// Where the next bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    At(u64),
    End,
}

impl Position {
    pub(super) fn advance(&mut self, written: usize) {
        if let Position::At(offset) = self {
            *offset = offset.saturating_add(written as u64);
        }
    }
}

impl Writable {
    /// Writes some of the bytes and says how many.
    pub(super) fn write(&self, bytes: &[u8], position: Position) -> io::Result<usize> {
        let end = |start: u64| start.saturating_add(bytes.len() as u64);
        match position {
            Position::At(offset) => {
                self.grow(|_| end(offset))?;
                self.file.write_at(bytes, offset)
            }
            Position::End => {
                self.grow(end)?;
                append(&self.file, bytes)
            }
        }
    }

    pub(super) fn write_all(&self, mut bytes: &[u8], mut position: Position) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.write(bytes, position)?;
            position.advance(written);
            bytes = &bytes[written..];
        }
        Ok(())
    }

    pub(super) fn set_size(&self, size: u64) -> io::Result<()> {
        self.grow(|_| size)?;
        self.file.set_len(size)
    }

    /// Takes from the quota what the file grows by when it ends where `end` says, given where it ends now.
    fn grow(&self, end: impl Fn(u64) -> u64) -> io::Result<()> {
        let Some(quota) = &self.quota else { return Ok(()) };
        let size = self.file.metadata()?.len();
        match end(size).saturating_sub(size) {
            0 => Ok(()),
            more if quota.take(more) => Ok(()),
            _ => Err(Errno::NOSPC.into()),
        }
    }
}

/// Appends at the file's end of that moment, whoever else writes, without a change of its flags.
fn append(file: &File, bytes: &[u8]) -> io::Result<usize> {
    match pwritev2(file, &[IoSlice::new(bytes)], 0, ReadWriteFlags::APPEND) {
        // A file system or kernel without it (before 4.16): then only this process's own appends are in order.
        Err(Errno::NOSYS | Errno::OPNOTSUPP) => file.write_at(bytes, file.metadata()?.len()),
        written => Ok(written?),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    struct Left(AtomicU64);

    impl Quota for Left {
        fn take(&self, bytes: u64) -> bool {
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
        }
    }

    #[test]
    fn only_growth_is_taken_from_the_quota_and_what_does_not_fit_is_not_written() {
        let left = Arc::new(Left(AtomicU64::new(10)));
        let file = Arc::new(tempfile::tempfile().unwrap());
        let writable = Writable { file: file.clone(), quota: Some(left.clone()) };
        writable.write_all(b"abcd", Position::At(0)).unwrap();
        writable.write_all(b"xy", Position::At(1)).unwrap();
        writable.write_all(b"ef", Position::End).unwrap();
        assert_eq!(left.0.load(Ordering::Relaxed), 4);
        let refused = writable.write_all(b"12345", Position::End).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
        assert!(writable.write_all(b"1", Position::At(1000)).is_err(), "a hole counts");
        assert!(writable.set_size(11).is_err());
        writable.set_size(10).unwrap();
        let mut content = vec![0; 10];
        assert_eq!(file.read_at(&mut content, 0).unwrap(), 10);
        assert_eq!(&content, b"axydef\0\0\0\0");
    }
}
