//! Writes a container's log.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::format::{self, MAX_PIECE};
use super::layout;
use crate::runtime::{Output, Stream};

/// How large a file may grow, and how many there may be, as the kubelet's `containerLogMaxSize` and `-MaxFiles`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rotation {
    pub(crate) max_bytes: u64,
    pub(crate) max_files: usize,
}

impl Default for Rotation {
    fn default() -> Rotation {
        Rotation { max_bytes: 10 * 1024 * 1024, max_files: 5 }
    }
}

/// The logs that are being written, for those who want to follow one.
#[derive(Clone, Default)]
pub(crate) struct LogHub {
    open: Arc<Mutex<HashMap<PathBuf, watch::Receiver<()>>>>,
}

impl LogHub {
    /// Starts a log, or goes on with one that a killed node left.
    pub(crate) fn create(&self, path: PathBuf, rotation: Rotation) -> io::Result<LogWriter> {
        fs::create_dir_all(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?;
        File::options().create(true).append(true).open(&path)?;
        let (grown, followers) = watch::channel(());
        self.open.lock().insert(path.clone(), followers);
        let inner = Mutex::new(Inner::new(path, rotation));
        Ok(LogWriter { inner, grown: Mutex::new(Some(grown)), hub: self.clone() })
    }

    /// Wakes whenever the log has grown, and fails once its writer is gone.
    pub(super) fn follow(&self, path: &Path) -> Option<watch::Receiver<()>> {
        self.open.lock().get(path).cloned()
    }
}

/// Writes one container's log. Dropping it ends it.
pub(crate) struct LogWriter {
    inner: Mutex<Inner>,
    grown: Mutex<Option<watch::Sender<()>>>,
    hub: LogHub,
}

impl LogWriter {
    /// Ends the log, and with it every follower: the container has ended.
    pub(crate) fn end(&self) {
        let mut inner = self.inner.lock();
        inner.finish();
        if self.grown.lock().take().is_some() {
            self.hub.open.lock().remove(&inner.path);
        }
    }
}

impl Output for LogWriter {
    fn write(&self, stream: Stream, bytes: &[u8]) {
        self.inner.lock().take(stream, bytes);
        if let Some(grown) = &*self.grown.lock() {
            grown.send_replace(());
        }
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.end();
    }
}

struct Inner {
    path: PathBuf,
    rotation: Rotation,
    /// Opened by the first line: ten thousand silent containers hold no file.
    file: Option<OpenLog>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    lost: u64,
}

struct OpenLog {
    file: File,
    len: u64,
}

impl Inner {
    fn new(path: PathBuf, rotation: Rotation) -> Inner {
        Inner { path, rotation, file: None, stdout: Vec::new(), stderr: Vec::new(), lost: 0 }
    }

    fn take(&mut self, stream: Stream, bytes: &[u8]) {
        let now = Timestamp::now();
        let unfinished = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let mut out = Vec::with_capacity(bytes.len() + 64);
        split(unfinished, bytes, |partial, text| format::encode(&mut out, now, stream, partial, text));
        self.append(&out);
    }

    /// Writes what was printed without a line break at its end.
    fn finish(&mut self) {
        let mut out = Vec::new();
        for (stream, unfinished) in [(Stream::Stdout, &mut self.stdout), (Stream::Stderr, &mut self.stderr)] {
            if !unfinished.is_empty() {
                format::encode(&mut out, Timestamp::now(), stream, false, unfinished);
                unfinished.clear();
            }
        }
        self.append(&out);
    }

    fn append(&mut self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        match self.try_append(lines) {
            Ok(()) => {}
            Err(error) => {
                if self.lost == 0 {
                    tracing::warn!(log = %self.path.display(), %error, "container output is being lost");
                }
                self.lost += lines.len() as u64;
                self.file = None;
            }
        }
    }

    fn try_append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.file.as_ref().is_some_and(|log| log.len + lines.len() as u64 > self.rotation.max_bytes && log.len > 0) {
            self.rotate()?;
        }
        let log = match &mut self.file {
            Some(log) => log,
            None => self.file.insert(open(&self.path)?),
        };
        if self.lost > 0 {
            let note =
                format!("carob: {} bytes of output were lost here, because they could not be written", self.lost);
            let mut line = Vec::new();
            format::encode(&mut line, Timestamp::now(), Stream::Stderr, false, note.as_bytes());
            log.append(&line)?;
            self.lost = 0;
        }
        log.append(lines)
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        let now = Timestamp::now().strftime("%Y%m%d-%H%M%S.%9f").to_string();
        let mut older = self.path.clone().into_os_string();
        older.push(format!(".{now}"));
        fs::rename(&self.path, older)?;
        let rotated = layout::rotated(&self.path);
        let too_many = (rotated.len() + 1).saturating_sub(self.rotation.max_files);
        for file in &rotated[..too_many] {
            fs::remove_file(file)?;
        }
        Ok(())
    }
}

impl OpenLog {
    /// Writes all of it or nothing: half a line would spoil the next one.
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        match self.file.write_all(lines) {
            Ok(()) => {
                self.len += lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.file.set_len(self.len)?;
                Err(error)
            }
        }
    }
}

fn open(path: &Path) -> io::Result<OpenLog> {
    let file = File::options().create(true).append(true).open(path)?;
    let len = file.metadata()?.len();
    Ok(OpenLog { file, len })
}

/// Cuts what was printed into lines of at most [`MAX_PIECE`]; what has no end yet stays in `unfinished`.
fn split(unfinished: &mut Vec<u8>, mut bytes: &[u8], mut line: impl FnMut(bool, &[u8])) {
    while !bytes.is_empty() {
        let room = MAX_PIECE - unfinished.len();
        let end = bytes.iter().take(room + 1).position(|byte| *byte == b'\n');
        let Some(end) = end else {
            let piece = &bytes[..bytes.len().min(room)];
            unfinished.extend_from_slice(piece);
            bytes = &bytes[piece.len()..];
            if unfinished.len() == MAX_PIECE && !bytes.is_empty() {
                line(true, unfinished);
                unfinished.clear();
            }
            continue;
        };
        if unfinished.is_empty() {
            line(false, &bytes[..end]);
        } else {
            unfinished.extend_from_slice(&bytes[..end]);
            line(false, unfinished);
            unfinished.clear();
        }
        bytes = &bytes[end + 1..];
    }
    if unfinished.is_empty() {
        // A long line that is over must not keep its memory for as long as the container runs.
        unfinished.shrink_to(256);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(chunks: &[&[u8]]) -> (Vec<(bool, usize)>, usize) {
        let (mut unfinished, mut found) = (Vec::new(), Vec::new());
        for chunk in chunks {
            split(&mut unfinished, chunk, |partial, text| found.push((partial, text.len())));
        }
        (found, unfinished.len())
    }

    #[test]
    fn output_is_cut_into_lines_and_long_lines_into_pieces() {
        assert_eq!(pieces(&[b"a\nbc\n\n"]), (vec![(false, 1), (false, 2), (false, 0)], 0));
        assert_eq!(pieces(&[b"a", b"b", b"c\nd"]), (vec![(false, 3)], 1));
        let long = vec![b'x'; MAX_PIECE];
        assert_eq!(pieces(&[&long, b"\n"]), (vec![(false, MAX_PIECE)], 0));
        assert_eq!(pieces(&[&long, b"y\n"]), (vec![(true, MAX_PIECE), (false, 1)], 0));
        let longer = vec![b'x'; 2 * MAX_PIECE + 5];
        assert_eq!(pieces(&[&longer]), (vec![(true, MAX_PIECE), (true, MAX_PIECE)], 5));
    }
}
