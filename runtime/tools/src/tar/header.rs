//! The heads of files in an archive: ustar, with long names as GNU and as POSIX have them.

use crate::options::Failure;

pub(super) const BLOCK: usize = 512;

/// What a head says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Header {
    pub(super) path: String,
    pub(super) link: String,
    /// The type flag: `0` a file, `5` a folder, `2` a link, `1` another name of a file.
    pub(super) kind: u8,
    pub(super) size: u64,
    /// Seconds since 1970.
    pub(super) modified: u64,
}

const NAME: std::ops::Range<usize> = 0..100;
const MODE: std::ops::Range<usize> = 100..108;
const SIZE: std::ops::Range<usize> = 124..136;
const MODIFIED: std::ops::Range<usize> = 136..148;
const SUM: std::ops::Range<usize> = 148..156;
const KIND: usize = 156;
const LINK: std::ops::Range<usize> = 157..257;
const MAGIC: std::ops::Range<usize> = 257..265;
const PREFIX: std::ops::Range<usize> = 345..500;

impl Header {
    /// Its block, after those that carry names which are too long for it.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut blocks = Vec::new();
        if self.path.len() > NAME.len() {
            long(&mut blocks, b'L', &self.path);
        }
        if self.link.len() > LINK.len() {
            long(&mut blocks, b'K', &self.link);
        }
        self.block(&mut blocks);
        blocks
    }

    fn block(&self, blocks: &mut Vec<u8>) {
        let mut block = [0; BLOCK];
        text(&mut block[NAME], &self.path);
        text(&mut block[MODE], if self.kind == b'5' { "0000755" } else { "0000644" });
        text(&mut block[108..116], "0000000");
        text(&mut block[116..124], "0000000");
        number(&mut block[SIZE], self.size);
        number(&mut block[MODIFIED], self.modified);
        block[KIND] = self.kind;
        text(&mut block[LINK], &self.link);
        block[MAGIC].copy_from_slice(b"ustar  \0");
        let sum = format!("{:06o}\0 ", sum(&block));
        block[SUM].copy_from_slice(sum.as_bytes());
        blocks.extend_from_slice(&block);
    }

    /// Reads a block; nothing if it is empty, as at the end.
    pub(super) fn decode(block: &[u8; BLOCK]) -> Result<Option<Header>, Failure> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if parse(&block[SUM]) != Some(sum(block)) {
            return Err(Failure::Failed("this is no tar archive, or it is damaged".to_owned()));
        }
        let damaged = || Failure::Failed("a file's size in the archive cannot be read".to_owned());
        let posix = block[257..262] == *b"ustar" && block[262] == 0;
        let prefix = if posix { string(&block[PREFIX]) } else { String::new() };
        let name = string(&block[NAME]);
        Ok(Some(Header {
            path: if prefix.is_empty() { name } else { format!("{prefix}/{name}") },
            link: string(&block[LINK]),
            kind: if block[KIND] == 0 { b'0' } else { block[KIND] },
            size: parse(&block[SIZE]).ok_or_else(damaged)?,
            modified: parse(&block[MODIFIED]).unwrap_or_default(),
        }))
    }

    /// Takes over what an extended head of POSIX says of the next file.
    pub(super) fn extend(&mut self, records: &[u8]) {
        let mut rest = records;
        while let Some(at) = rest.iter().position(|byte| *byte == b' ') {
            let length = std::str::from_utf8(&rest[..at]).ok().and_then(|digits| digits.parse::<usize>().ok());
            let Some(record) = length.and_then(|length| rest.get(at + 1..length)) else { return };
            rest = &rest[at + 1 + record.len()..];
            let record = String::from_utf8_lossy(record);
            match record.trim_end_matches('\n').split_once('=') {
                Some(("path", value)) => self.path = value.to_owned(),
                Some(("linkpath", value)) => self.link = value.to_owned(),
                Some(("size", value)) => self.size = value.parse().unwrap_or(self.size),
                Some(("mtime", value)) => {
                    self.modified =
                        value.split('.').next().and_then(|whole| whole.parse().ok()).unwrap_or(self.modified);
                }
                _ => {}
            }
        }
    }
}

/// A name of any length, in the way of GNU.
fn long(blocks: &mut Vec<u8>, kind: u8, name: &str) {
    let head = Header { path: "././@LongLink".to_owned(), kind, size: name.len() as u64 + 1, ..Header::default() };
    head.block(blocks);
    blocks.extend_from_slice(name.as_bytes());
    blocks.resize(blocks.len() + 1, 0);
    blocks.resize(blocks.len().next_multiple_of(BLOCK), 0);
}

fn text(field: &mut [u8], text: &str) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text.as_bytes()[..length]);
}

/// Octal digits; what is too large for them in binary, as GNU has it.
fn number(field: &mut [u8], number: u64) {
    let digits = field.len() - 1;
    let octal = format!("{number:0digits$o}");
    if octal.len() <= digits {
        return text(field, &octal);
    }
    let start = field.len() - 8;
    field[start..].copy_from_slice(&number.to_be_bytes());
    field[0] = 0x80;
}

fn parse(field: &[u8]) -> Option<u64> {
    if field[0] == 0x80 {
        return Some(field[1..].iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
    }
    let digits = field.iter().map(|byte| char::from(*byte)).collect::<String>();
    let digits = digits.trim_matches([' ', '\0']);
    if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 8).ok() }
}

fn string(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// The sum of all bytes, with blanks in the place of the sum itself.
fn sum(block: &[u8; BLOCK]) -> u64 {
    let own = |at: usize| SUM.contains(&at);
    block.iter().enumerate().map(|(at, byte)| if own(at) { 32 } else { u64::from(*byte) }).sum()
}
