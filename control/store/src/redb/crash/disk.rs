//! A disk that remembers in which order it was written, and so can show every state a crash may leave.

use std::{io, sync::Arc};

use parking_lot::Mutex;
use redb::StorageBackend;

/// What a disk writes in one piece.
const SECTOR: usize = 512;

#[derive(Clone, Debug)]
pub(super) enum Op {
    Write(usize, Vec<u8>),
    SetLen(usize),
    Sync,
}

/// A backend for redb, in memory. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Disk(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    contents: Vec<u8>,
    trace: Vec<Op>,
    /// How many more operations succeed; for ever, if `None`.
    left: Option<usize>,
}

impl Disk {
    pub(super) fn new(contents: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Inner { contents, trace: Vec::new(), left: None })))
    }

    /// Lets the next `left` operations that change the disk succeed, and none after them.
    pub(super) fn fill_up_after(&self, left: usize) {
        self.0.lock().left = Some(left);
    }

    pub(super) fn contents(&self) -> Vec<u8> {
        self.0.lock().contents.clone()
    }

    /// How many operations were done.
    pub(super) fn place(&self) -> usize {
        self.0.lock().trace.len()
    }

    pub(super) fn trace(&self) -> Vec<Op> {
        self.0.lock().trace.clone()
    }

    fn change(&self, op: Op) -> io::Result<()> {
        let mut inner = self.0.lock();
        match &mut inner.left {
            Some(0) => return Err(io::ErrorKind::StorageFull.into()),
            Some(left) => *left -= 1,
            None => {}
        }
        apply(&mut inner.contents, &op);
        inner.trace.push(op);
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().contents.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (inner, offset) = (self.0.lock(), offset as usize);
        let found = inner.contents.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Op::SetLen(len as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(Op::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Op::Write(offset as usize, data.to_vec()))
    }
}

/// What survives: the state at the last sync, and what was written since, of which a crash keeps any part.
#[derive(Clone)]
pub(super) struct Platter {
    durable: Vec<u8>,
    since: Vec<Op>,
    /// The mutation: a disk whose sync does nothing.
    lies: bool,
}

impl Platter {
    pub(super) fn new(durable: Vec<u8>, lies: bool) -> Self {
        Self { durable, since: Vec::new(), lies }
    }

    pub(super) fn step(&mut self, op: &Op) {
        match op {
            Op::Sync if self.lies => {}
            Op::Sync => self.since.drain(..).for_each(|op| apply(&mut self.durable, &op)),
            other => self.since.push(other.clone()),
        }
    }

    /// What stands on the disk after a crash now that kept each sector written since the last sync with the probability
    /// `kept` in 255.
    pub(super) fn crash(&self, dice: &mut Dice, kept: u8) -> Vec<u8> {
        let mut image = self.durable.clone();
        for op in &self.since {
            match op {
                Op::Write(offset, data) => sectors(*offset, data)
                    .filter(|_| dice.falls(kept))
                    .for_each(|(offset, part)| apply(&mut image, &Op::Write(offset, part.to_vec()))),
                other if dice.falls(kept) => apply(&mut image, other),
                _ => {}
            }
        }
        image
    }
}

fn apply(contents: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Write(offset, data) => {
            let end = offset + data.len();
            if contents.len() < end {
                contents.resize(end, 0);
            }
            contents[*offset..end].copy_from_slice(data);
        }
        Op::SetLen(len) => contents.resize(*len, 0),
        Op::Sync => {}
    }
}

/// Cuts a write where the disk may tear it.
fn sectors(offset: usize, data: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let head = data.len().min(SECTOR - offset % SECTOR);
    let (head, rest) = data.split_at(head);
    let first = offset + head.len();
    let rest = rest.chunks(SECTOR).enumerate().map(move |(number, part)| (first + number * SECTOR, part));
    [(offset, head)].into_iter().chain(rest)
}

/// Chance, the same in every run (SplitMix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % sides
    }

    fn falls(&mut self, kept: u8) -> bool {
        self.roll(255) < usize::from(kept)
    }
}
