//! Durable creates of 1 KiB, by one client and by 256: to the store, and through the API, beside the bare disk.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Result;
use bytes::Bytes;
use carob_apiserver::{ApiServer, Config, InProcess};
use carob_store::{Change, Expect, Options, Redb, Store, Write};
use tempfile::TempDir;

use crate::{
    floor::{GroupCommit, synced_write},
    measure::{Client, Load, closed_loop, folder_on_disk},
    objects,
    table::{Row, Target},
};

const VALUE: usize = 1024;
const CROWD: usize = 256;
/// Floor and store take turns, since a disk is not equally fast all the time.
const TURNS: usize = 3;
const TURN: Duration = Duration::from_millis(700);

/// Creates written to the store.
pub(crate) async fn store() -> Result<Vec<Row>> {
    let (store, folder) = open()?;
    let client = |turn, _| Direct { store: store.clone(), turn };
    Ok(vec![
        one_client("store: create of 1 KiB, one client, p50", &folder, client).await?,
        crowd("store: creates of 1 KiB, 256 clients", &folder, client).await?,
    ])
}

/// Creates through the API.
pub(crate) async fn api() -> Result<Vec<Row>> {
    let (store, folder) = open()?;
    let api = ApiServer::new(store, Config::default()).await?;
    let client = |turn, client| ThroughApi { api: api.client(objects::admin()), turn, client };
    Ok(vec![
        one_client("API: create of 1 KiB, one client, p50", &folder, client).await?,
        crowd("API: creates of 1 KiB, 256 clients", &folder, client).await?,
    ])
}

fn open() -> Result<(Arc<dyn Store>, TempDir)> {
    let folder = folder_on_disk()?;
    let store = Redb::open(&folder.path().join("store"), Options::default())?;
    Ok((Arc::new(store), folder))
}

async fn one_client<C: Client>(
    what: &'static str,
    folder: &TempDir,
    client: impl Fn(usize, usize) -> C,
) -> Result<Row> {
    let (mut ours, mut floor) = (Load::default(), 0.0);
    for turn in 0..TURNS {
        floor += synced_write(&bare(folder), &[b'x'; VALUE], TURN)? / TURNS as f64;
        ours.add(closed_loop(vec![client(turn, 0)], TURN).await?);
    }
    let (unit, floor_is) = ("ms", "bare write and fdatasync");
    Ok(Row { what, unit, ours: ours.quantile(0.5), floor_is, floor, target: Target::AtMost(2.0) })
}

async fn crowd<C: Client>(what: &'static str, folder: &TempDir, client: impl Fn(usize, usize) -> C) -> Result<Row> {
    let (mut ours, mut floor) = (Load::default(), Load::default());
    for turn in TURNS..2 * TURNS {
        let commit = Arc::new(GroupCommit::open(&bare(folder))?);
        floor.add(closed_loop((0..CROWD).map(|_| Bare { commit: commit.clone() }).collect(), TURN).await?);
        ours.add(closed_loop((0..CROWD).map(|number| client(turn, number)).collect(), TURN).await?);
    }
    let (unit, floor_is, target) = ("per second", "bare group commit", Target::AtLeast(0.4));
    Ok(Row { what, unit, ours: ours.per_second(), floor_is, floor: floor.per_second(), target })
}

fn bare(folder: &TempDir) -> PathBuf {
    folder.path().join("bare")
}

/// Appends to a file.
struct Bare {
    commit: Arc<GroupCommit>,
}

impl Client for Bare {
    async fn ask(&mut self, number: u64) -> Result<()> {
        self.commit.append([name(0, number).as_bytes(), &[b'x'; VALUE]].concat()).await
    }
}

/// Writes to the store.
struct Direct {
    store: Arc<dyn Store>,
    turn: usize,
}

impl Client for Direct {
    async fn ask(&mut self, number: u64) -> Result<()> {
        let key = format!("/registry/configmaps/default/{}", name(self.turn, number)).into();
        let change = Change::Put(Bytes::from(vec![b'x'; VALUE]));
        self.store.write(vec![Write { key, expect: Expect::Absent, change }]).await?;
        Ok(())
    }
}

/// Posts ConfigMaps, in process.
struct ThroughApi {
    api: InProcess,
    turn: usize,
    client: usize,
}

impl Client for ThroughApi {
    async fn ask(&mut self, number: u64) -> Result<()> {
        let name = format!("{}-{}", name(self.turn, number), self.client);
        objects::create(&self.api, objects::config_map(&name, VALUE)).await
    }
}

/// Names come in no order.
fn name(turn: usize, number: u64) -> String {
    format!("{:016x}-{turn}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
