//! Increments in buckets: many clients share a sync, beside a bare group commit of the same bytes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use carob_keyvalue::{Bucket, KeyValues, Limits};

use crate::floor::GroupCommit;
use crate::measure::{Client, Load, closed_loop, folder_on_disk};
use crate::table::{Row, Target};

const CROWD: usize = 256;
/// Floor and buckets take turns, since a disk is not equally fast all the time.
const TURNS: usize = 3;
const TURN: Duration = Duration::from_millis(700);

pub(crate) async fn run() -> Result<Vec<Row>> {
    let folder = folder_on_disk()?;
    let keyvalues = KeyValues::open(&folder.path().join("keyvalue.redb"), Limits::default())?;
    let bucket = keyvalues.bucket("bench", "counts");
    let bare = folder.path().join("bare");
    let one = beside(&bare, &bucket, |_| "visits".to_owned()).await?;
    let own = beside(&bare, &bucket, |client| format!("visits-{client}")).await?;
    Ok(vec![
        one.row("buckets: increments of one key, 256 clients"),
        own.row("buckets: increments of 256 keys, 256 clients"),
    ])
}

#[derive(Default)]
struct Beside {
    ours: Load,
    floor: Load,
}

impl Beside {
    fn row(self, what: &'static str) -> Row {
        let (ours, floor) = (self.ours.per_second(), self.floor.per_second());
        Row { what, unit: "per second", ours, floor_is: "bare group commit", floor, target: Target::AtLeast(0.4) }
    }
}

async fn beside(bare: &std::path::Path, bucket: &Bucket, key: impl Fn(usize) -> String) -> Result<Beside> {
    let mut loads = Beside::default();
    for _ in 0..TURNS {
        let commit = Arc::new(GroupCommit::open(bare)?);
        let append = |client| Append { commit: commit.clone(), key: key(client) };
        loads.floor.add(closed_loop((0..CROWD).map(append).collect(), TURN).await?);
        let increment = |client| Increment { bucket: bucket.clone(), key: key(client) };
        loads.ours.add(closed_loop((0..CROWD).map(increment).collect(), TURN).await?);
    }
    Ok(loads)
}

/// Appends what an increment would write: key and number.
struct Append {
    commit: Arc<GroupCommit>,
    key: String,
}

impl Client for Append {
    async fn ask(&mut self, number: u64) -> Result<()> {
        self.commit.append(format!("{}{number}", self.key).into_bytes()).await
    }
}

struct Increment {
    bucket: Bucket,
    key: String,
}

impl Client for Increment {
    async fn ask(&mut self, _: u64) -> Result<()> {
        self.bucket.increment(self.key.clone(), 1, 0, i128::MAX).await?;
        Ok(())
    }
}
