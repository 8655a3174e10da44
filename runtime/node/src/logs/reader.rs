//! Reads a log, over all of its files.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::format::{self, MAX_LINE};
use super::layout;
use crate::runtime::Stream;

const CHUNK: usize = 64 * 1024;

/// Which part of a log is wanted, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LogOptions {
    /// Only so many lines from the end.
    pub(crate) tail: Option<u64>,
    /// Only what was printed at or after this moment.
    pub(crate) since: Option<Timestamp>,
    /// With the moment in front of each line.
    pub(crate) timestamps: bool,
    /// No more than so many bytes.
    pub(crate) limit: Option<u64>,
    /// Only what was printed on this stream.
    pub(crate) stream: Option<Stream>,
    /// Go on until the container ends.
    pub(crate) follow: bool,
}

/// Reads on from where it stopped, file after file.
pub(super) struct LogReader {
    log: PathBuf,
    file: Option<Open>,
    carry: Vec<u8>,
    filter: Filter,
}

struct Open {
    file: File,
    inode: u64,
}

impl LogReader {
    pub(super) fn open(log: &Path, options: &LogOptions) -> io::Result<LogReader> {
        let begin = || match options.tail {
            Some(lines) => open_tail(log, lines),
            None => open_oldest(log),
        };
        // A file that was listed may be rotated before it is opened; not twice in a row.
        let file = begin().or_else(|error| if is_absent(&error) { begin() } else { Err(error) })?;
        Ok(LogReader { log: log.to_owned(), file, carry: Vec::new(), filter: Filter::new(options) })
    }

    /// The next text; nothing, if there is no more for now.
    pub(super) fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut chunk = vec![0; CHUNK];
        while out.is_empty() && !self.is_full() {
            let Some(open) = &mut self.file else {
                self.file = open_oldest(&self.log)?;
                if self.file.is_none() {
                    break;
                }
                continue;
            };
            let read = open.file.read(&mut chunk)?;
            if read == 0 && !self.next_file()? {
                break;
            }
            self.take(&chunk[..read], &mut out);
        }
        Ok(out)
    }

    /// Whether the limit is reached.
    pub(super) fn is_full(&self) -> bool {
        self.filter.left == Some(0)
    }

    fn take(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        self.carry.extend_from_slice(chunk);
        let mut rest = &self.carry[..];
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.filter.line(&rest[..end], out);
            rest = &rest[end + 1..];
        }
        let rest = rest.len();
        self.carry.drain(..self.carry.len() - rest);
        if self.carry.len() > MAX_LINE {
            // No writer of ours made such a line.
            self.carry.clear();
        }
    }

    /// Goes on to the file after this one, if this one was rotated away and is read to its end.
    fn next_file(&mut self) -> io::Result<bool> {
        let Some(current) = &mut self.file else { return Ok(false) };
        let Some(next) = successor(&self.log, current)? else { return Ok(false) };
        // It may have grown between the last read and its rotation.
        let mut rest = Vec::new();
        current.file.read_to_end(&mut rest)?;
        self.carry.extend_from_slice(&rest);
        self.file = Some(next);
        Ok(true)
    }
}

/// The file that follows `current`, if it is not the one being written. The oldest, if `current` was removed by now.
///
/// The writer may rotate between any two of these steps, so files are told apart by what was opened, not by name.
fn successor(log: &Path, current: &Open) -> io::Result<Option<Open>> {
    if fs::metadata(log).is_ok_and(|meta| meta.ino() == current.inode) {
        return Ok(None);
    }
    let mut following = None;
    for path in layout::files(log).iter().rev() {
        match open(path) {
            Ok(file) if file.inode == current.inode => return Ok(following),
            Ok(file) => following = Some(file),
            // It was rotated or removed since it was listed: the next look finds it, or what took its place.
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let was_removed = current.file.metadata()?.nlink() == 0;
    Ok(following.filter(|_| was_removed))
}

fn open(path: &Path) -> io::Result<Open> {
    let file = File::open(path)?;
    let inode = file.metadata()?.ino();
    Ok(Open { file, inode })
}

fn open_oldest(log: &Path) -> io::Result<Option<Open>> {
    layout::files(log).first().map(|path| open(path)).transpose()
}

fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Opens the file in which the last `lines` lines begin, there.
fn open_tail(log: &Path, lines: u64) -> io::Result<Option<Open>> {
    let files = layout::files(log);
    let mut missing = lines;
    for (n, path) in files.iter().enumerate().rev() {
        let mut found = open(path)?;
        let (start, counted) = tail_start(&mut found.file, missing)?;
        missing -= counted;
        if missing == 0 || n == 0 {
            found.file.seek(SeekFrom::Start(start))?;
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Where the last `lines` lines of a file begin, and how many lines there are from there on.
fn tail_start(file: &mut File, lines: u64) -> io::Result<(u64, u64)> {
    let mut end = file.seek(SeekFrom::End(0))?;
    if lines == 0 {
        return Ok((end, 0));
    }
    let mut counted = 0;
    let mut chunk = vec![0; CHUNK];
    while end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        let part = &mut chunk[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        for (at, _) in part.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            if counted == lines {
                return Ok((start + at as u64 + 1, lines));
            }
            counted += 1;
        }
        end = start;
    }
    Ok((0, counted))
}

/// Turns lines of the file into what was asked for.
struct Filter {
    since: Option<Timestamp>,
    timestamps: bool,
    stream: Option<Stream>,
    left: Option<u64>,
    in_line: bool,
}

impl Filter {
    fn new(options: &LogOptions) -> Filter {
        Filter {
            since: options.since,
            timestamps: options.timestamps,
            stream: options.stream,
            left: options.limit,
            in_line: false,
        }
    }

    fn line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let Some(line) = format::parse(line) else { return };
        if self.stream.is_some_and(|stream| stream != line.stream) {
            return;
        }
        if let Some(since) = self.since {
            if line.timestamp().is_none_or(|time| time < since) {
                return;
            }
            // Time only goes on: the lines that follow need not be parsed.
            self.since = None;
        }
        if self.timestamps && !self.in_line {
            self.push(line.time.as_bytes(), out);
            self.push(b" ", out);
        }
        self.push(line.text, out);
        if !line.partial {
            self.push(b"\n", out);
        }
        self.in_line = line.partial;
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let room = self.left.map_or(bytes.len(), |left| bytes.len().min(left as usize));
        out.extend_from_slice(&bytes[..room]);
        self.left = self.left.map(|left| left - room as u64);
    }
}
