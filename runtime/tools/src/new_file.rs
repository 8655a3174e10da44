//! A file that is written on to its end.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Tells why a write has failed, which `wasi-libc` does not: it says EIO whatever has happened to a stream, also where WASI
/// says that there is no space left.
pub(crate) struct NewFile {
    file: File,
    /// Where the next bytes go.
    end: u64,
}

impl NewFile {
    pub(crate) fn create(path: impl AsRef<Path>) -> io::Result<NewFile> {
        Ok(NewFile { file: File::create(path)?, end: 0 })
    }

    /// At the end of a file that is there, or of a new one.
    pub(crate) fn append(path: impl AsRef<Path>) -> io::Result<NewFile> {
        let file = File::options().create(true).append(true).open(path)?;
        let end = file.metadata()?.len();
        Ok(NewFile { file, end })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// The same growth, asked for as a size, is refused with the reason. If it is not, nobody knows.
    fn reason(&self, error: io::Error, bytes: usize) -> io::Error {
        match self.file.set_len(self.end + bytes as u64) {
            Err(reason) => reason,
            Ok(()) => self.file.set_len(self.end).err().unwrap_or(error),
        }
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes).map_err(|error| self.reason(error, bytes.len()))?;
        self.end += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Copies what is in a file.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    io::copy(&mut File::open(from)?, &mut NewFile::create(to)?).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_changes_nothing_and_is_told_as_what_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        NewFile::create(&path).unwrap().write_all(b"begun").unwrap();
        let mut file = NewFile::append(&path).unwrap();
        file.write_all(b", went on").unwrap();
        let told = file.reason(io::ErrorKind::Other.into(), 100);
        assert_eq!(told.kind(), io::ErrorKind::Other, "a size of so much is fine here");
        assert_eq!(std::fs::read(&path).unwrap(), b"begun, went on");

        let mut read_only = NewFile { file: File::open(&path).unwrap(), end: 14 };
        assert!(read_only.write(b"x").is_err());
        let told = read_only.reason(io::ErrorKind::Other.into(), 1);
        assert_ne!(told.kind(), io::ErrorKind::Other, "{told}");
    }
}
