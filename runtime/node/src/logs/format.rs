//! One line of a CRI log: `2026-01-02T03:04:05.123456789Z stdout F text`.

use std::io::Write;

use jiff::Timestamp;

use crate::runtime::Stream;

/// Longest piece of text in one line of the file; a longer line is written in pieces.
pub(super) const MAX_PIECE: usize = 16 * 1024;

/// Longest line in a file, with its head.
pub(super) const MAX_LINE: usize = MAX_PIECE + 128;

/// Appends a line; `partial` says that the text goes on in the next one.
pub(super) fn encode(out: &mut Vec<u8>, time: Timestamp, stream: Stream, partial: bool, text: &[u8]) {
    let stream = match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    };
    let tag = if partial { 'P' } else { 'F' };
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{time:.9} {stream} {tag} ");
    out.extend_from_slice(text);
    out.push(b'\n');
}

/// What a line of the file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) time: &'a str,
    pub(super) stream: Stream,
    pub(super) partial: bool,
    pub(super) text: &'a [u8],
}

impl Line<'_> {
    pub(super) fn timestamp(&self) -> Option<Timestamp> {
        self.time.parse().ok()
    }
}

/// Reads a line without its line break; `None` if it is no log line.
pub(super) fn parse(line: &[u8]) -> Option<Line<'_>> {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?;
    let stream = match parts.next()? {
        b"stdout" => Stream::Stdout,
        b"stderr" => Stream::Stderr,
        _ => return None,
    };
    let partial = match parts.next()? {
        b"P" => true,
        b"F" => false,
        _ => return None,
    };
    Some(Line { time, stream, partial, text: parts.next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_written_as_the_cri_says_and_read_again() {
        let time: Timestamp = "2026-01-02T03:04:05.12345Z".parse().unwrap();
        let mut out = Vec::new();
        encode(&mut out, time, Stream::Stderr, true, b"a b ");
        assert_eq!(out, b"2026-01-02T03:04:05.123450000Z stderr P a b \n");

        let line = parse(out.strip_suffix(b"\n").unwrap()).unwrap();
        assert_eq!(line.timestamp(), Some(time));
        assert_eq!((line.stream, line.partial, line.text), (Stream::Stderr, true, &b"a b "[..]));
    }

    #[test]
    fn what_is_no_line_is_not_read() {
        for bad in ["", "x", "2026-01-02T03:04:05Z stdout F", "2026-01-02T03:04:05Z stdin F x", "t stdout Q x"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
