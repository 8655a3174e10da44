//! Crashes the store's disk wherever it can be crashed, and looks at what is left.

mod disk;

use std::{sync::Arc, time::Instant};

use bytes::Bytes;

use self::disk::{Dice, Disk, Op, Platter};
use super::{log::RedbLog, open};
use crate::{
    Change, Expect, KeyValue, Options, Revision, Write,
    core::Core,
    index::Held,
    log::{Log, Read},
    record::Record,
    writer::Writer,
};

/// A crash keeps none, few, half, most or all of what was not synced.
const KEPT: [u8; 5] = [0, 25, 128, 230, 255];

/// Enough to make the file grow, and to compact many times.
const COMMITS: usize = 30;

/// What a store shows to its clients.
#[derive(Clone, Debug, Default, PartialEq)]
struct Shown {
    newest: Revision,
    current: Vec<KeyValue>,
}

/// A store on a disk of ours, without its thread.
struct Running {
    core: Arc<Core<RedbLog>>,
    writer: Writer<RedbLog>,
}

impl Running {
    /// With so little history kept that compaction takes part in everything.
    fn on(disk: &Disk) -> Result<Self, String> {
        let options = Options { keep_revisions: 8, ..Options::default() };
        let opened = open::on(disk.clone(), &options).map_err(|error| format!("does not open: {error}"))?;
        let core = Core::new(opened.log, opened.state);
        Ok(Self { writer: Writer::new(core.clone(), &options), core })
    }

    fn shown(&self) -> Shown {
        let state = self.core.state.read();
        let current = state.index.range(b"", b"", state.revision).map(|(_, held)| match held {
            Held::Here(key_value) => key_value,
            Held::InLog(version) => panic!("{version:?} is not the present"),
        });
        Shown { newest: state.revision, current: current.collect() }
    }

    /// The history that can be watched: everything after the compaction point.
    fn history(&self) -> Vec<Record> {
        let compacted = self.core.state.read().compacted;
        self.core.log.reader().and_then(|reader| reader.records(compacted, usize::MAX)).unwrap()
    }

    fn commit(&mut self, batch: Vec<Vec<Write>>) -> Result<(), String> {
        let answers = self.writer.commit(batch, Instant::now());
        answers.into_iter().try_for_each(|answer| answer.map(|_| ()).map_err(|error| error.to_string()))
    }
}

/// A few transactions of a few writes to a few keys.
fn some_batch(dice: &mut Dice) -> Vec<Vec<Write>> {
    let mut transaction = || {
        let first = dice.roll(6);
        let keys = first..(first + 1 + dice.roll(3));
        keys.map(|key| {
            let len = [3, 700, 5_000, 90_000][dice.roll(4)];
            let put = Change::Put(vec![dice.roll(256) as u8; len].into());
            let change = if dice.roll(4) == 0 { Change::Delete } else { put };
            Write { key: Bytes::from(format!("/key/{key}")), expect: Expect::Anything, change }
        })
        .collect()
    };
    (0..3).map(|_| transaction()).collect()
}

/// A commit, as the disk's trace has it.
struct Step {
    began: usize,
    acknowledged: usize,
    left: Shown,
}

/// A run of the store on a disk that never failed.
struct Run {
    /// What the file was put in place with.
    created: Vec<u8>,
    trace: Vec<Op>,
    steps: Vec<Step>,
    records: Vec<Record>,
}

impl Run {
    fn record(commits: usize) -> Self {
        let (disk, mut dice) = (Disk::new(Vec::new()), Dice(7));
        let mut store = Running::on(&disk).unwrap();
        let (created, first) = (disk.contents(), disk.place());
        let (mut steps, mut records) = (Vec::new(), Vec::new());
        for number in 0..commits {
            let (began, newest) = (disk.place() - first, store.shown().newest);
            store.commit(some_batch(&mut dice)).unwrap();
            steps.push(Step { began, acknowledged: disk.place() - first, left: store.shown() });
            records.extend(store.core.log.reader().and_then(|reader| reader.records(newest, usize::MAX)).unwrap());
            if number % 5 == 4 {
                while store.writer.tidy(Instant::now()) {}
            }
        }
        // The trace ends here: closing the file properly is no crash.
        Self { created, trace: disk.trace().split_off(first), steps, records }
    }

    /// What may be shown after a crash at `place`: what was acknowledged, or that and the commit that was under way.
    fn allowed(&self, place: usize) -> [Shown; 2] {
        let acknowledged = self.steps.iter().rfind(|step| step.acknowledged <= place);
        let under_way = self.steps.iter().rfind(|step| step.began <= place);
        [acknowledged, under_way].map(|step| step.map(|step| step.left.clone()).unwrap_or_default())
    }

    /// Looks at what a crash at `place` left.
    fn check(&self, place: usize, image: Vec<u8>) -> Result<Vec<Op>, String> {
        let disk = Disk::new(image);
        let mut store = Running::on(&disk)?;
        let recovery = disk.trace();
        let shown = store.shown();
        if !self.allowed(place).contains(&shown) {
            return Err(format!("shows revision {}, or other values than were written", shown.newest));
        }
        let kept = store.core.state.read().compacted.0 + 1..=shown.newest.0;
        let expected = self.records.iter().filter(|record| kept.contains(&record.revision.0));
        if !store.history().iter().eq(expected) {
            return Err("its history is not what was written".into());
        }
        store.commit(vec![vec![put("/after")]])?;
        let next = store.shown().newest;
        if next.0 != shown.newest.0 + 1 {
            return Err(format!("revision {next} follows {}", shown.newest));
        }
        Ok(recovery)
    }

    /// Crashes after every operation, in several ways, and while recovering from it too. The first thing that is wrong.
    fn crash_everywhere(&self, sync_lies: bool) -> Result<(), String> {
        let (mut platter, mut dice) = (Platter::new(self.created.clone(), sync_lies), Dice(11));
        for (place, op) in self.trace.iter().enumerate() {
            platter.step(op);
            for kept in KEPT {
                let wrong = |error| format!("after a crash at {place} that kept {kept}/255: {error}");
                let image = platter.crash(&mut dice, kept);
                let recovery = self.check(place + 1, image.clone()).map_err(wrong)?;
                let mut again = Platter::new(image, sync_lies);
                recovery.iter().take(dice.roll(recovery.len() + 1)).for_each(|op| again.step(op));
                self.check(place + 1, again.crash(&mut dice, kept)).map_err(wrong)?;
            }
        }
        Ok(())
    }
}

fn put(key: &'static str) -> Write {
    Write { key: key.into(), expect: Expect::Anything, change: Change::Put("value".into()) }
}

#[test]
fn no_crash_loses_what_was_acknowledged() {
    let run = Run::record(COMMITS);
    assert!(run.records.iter().any(|record| record.value.is_none()), "there are tombstones");
    run.crash_everywhere(false).unwrap();
}

#[test]
fn a_disk_whose_sync_does_nothing_is_found_out() {
    let error =
        Run::record(COMMITS).crash_everywhere(true).expect_err("the check must see that acknowledged writes are lost");
    assert!(error.contains("after a crash"), "{error}");
}

/// Wherever the disk fills up: the write is refused, the store takes no more, reads go on, and after opening again
/// everything that was acknowledged is there.
#[test]
fn a_full_disk_refuses_writes_and_loses_nothing() {
    for left in 0.. {
        let (disk, mut dice) = (Disk::new(Vec::new()), Dice(3));
        let mut store = Running::on(&disk).unwrap();
        disk.fill_up_after(left);
        let mut acknowledged = store.shown();
        let mut failed = None;
        for _ in 0..12 {
            failed = store.commit(some_batch(&mut dice)).err();
            if failed.is_some() {
                break;
            }
            acknowledged = store.shown();
        }
        let Some(error) = failed else { return assert!(left > 50, "the disk filled up at many places") };
        assert_eq!(store.shown(), acknowledged, "reads go on after: {error}");
        let refused = store.commit(vec![vec![put("/more")]]).unwrap_err();
        assert_eq!(refused, error, "it takes no more");
        assert!(!store.writer.tidy(Instant::now()) && store.writer.wake().is_none());
        drop(store);
        let reopened = Running::on(&Disk::new(disk.contents())).unwrap().shown();
        let unanswered = reopened.newest > acknowledged.newest;
        assert!(reopened == acknowledged || unanswered, "nothing is lost at {left}");
    }
}
