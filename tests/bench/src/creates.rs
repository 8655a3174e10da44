//! Durable creates of 1 KiB, by one client and by 256, beside the bare disk.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use bytes::Bytes;
use carob_store::{Change, Expect, Options, Redb, Store, Write};

use crate::{
    floor::{GroupCommit, synced_append},
    measure::{Load, closed_loop, folder_on_disk},
    table::{Row, Target},
};

const VALUE: usize = 1024;
const CROWD: usize = 256;
/// Floor and store take turns, since a disk is not equally fast all the time.
const TURNS: usize = 4;
const TURN: Duration = Duration::from_millis(750);

pub(crate) async fn run() -> Result<Vec<Row>> {
    let (one, one_floor) = one_client().await?;
    let (crowd, crowd_floor) = crowd().await?;
    Ok(vec![
        Row {
            what: "store: create of 1 KiB, one client, p50",
            unit: "ms",
            ours: one,
            floor_is: "append and fdatasync",
            floor: one_floor,
            target: Target::AtMost(2.0),
        },
        Row {
            what: "store: creates of 1 KiB, 256 clients",
            unit: "per second",
            ours: crowd,
            floor_is: "bare group commit",
            floor: crowd_floor,
            target: Target::AtLeast(0.4),
        },
    ])
}

async fn one_client() -> Result<(f64, f64)> {
    let dir = folder_on_disk()?;
    let store: Arc<dyn Store> = Arc::new(Redb::open(&dir.path().join("store"), Options::default())?);
    let (mut ours, mut floor) = (Load::default(), 0.0);
    for turn in 0..TURNS {
        floor += synced_append(&dir.path().join("floor"), &[b'x'; VALUE], TURN)? / TURNS as f64;
        ours.add(creates(&store, turn, 1).await?);
    }
    Ok((ours.quantile(0.5), floor))
}

async fn crowd() -> Result<(f64, f64)> {
    let dir = folder_on_disk()?;
    let store: Arc<dyn Store> = Arc::new(Redb::open(&dir.path().join("store"), Options::default())?);
    let (mut ours, mut floor) = (Load::default(), Load::default());
    for turn in 0..TURNS {
        let bare = Arc::new(GroupCommit::open(&dir.path().join("floor"))?);
        let append = move |number| {
            let bare = bare.clone();
            async move { bare.append([key(turn, number).as_bytes(), &[b'x'; VALUE]].concat()).await }
        };
        floor.add(closed_loop(CROWD, TURN, append).await?);
        ours.add(creates(&store, turn, CROWD).await?);
    }
    Ok((ours.per_second(), floor.per_second()))
}

async fn creates(store: &Arc<dyn Store>, turn: usize, clients: usize) -> Result<Load> {
    let store = store.clone();
    closed_loop(clients, TURN, move |number| {
        let (store, key) = (store.clone(), key(turn, number));
        async move {
            let change = Change::Put(Bytes::from(vec![b'x'; VALUE]));
            store.write(vec![Write { key: key.into(), expect: Expect::Absent, change }]).await?;
            Ok(())
        }
    })
    .await
}

/// As the API server's keys look: names come in no order.
fn key(turn: usize, number: u64) -> String {
    format!("/registry/configmaps/default/{:016x}-{turn}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
