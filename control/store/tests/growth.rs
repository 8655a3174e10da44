//! What is overwritten again and again must not grow the file.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use carob_store::{Options, Redb, Store};
use common::put;
use futures::future::try_join_all;

const OBJECTS: usize = 2_000;
const NODES: usize = 200;
const KEPT: u64 = 2_000;
const SIZE: usize = 1024;

#[tokio::test]
async fn heartbeats_settle_the_file_at_about_twice_what_is_live() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Redb::open(&path, Options { keep_revisions: KEPT, ..Options::default() }).unwrap();
    let value = "v".repeat(SIZE);
    write_all(&store, (0..OBJECTS).map(|number| format!("/pods/{number}")), &value).await;
    let mut sizes = Vec::new();
    for _ in 0..4 {
        for _ in 0..60 {
            write_all(&store, (0..NODES).map(|number| format!("/leases/{number}")), &value).await;
        }
        sizes.push(fs::metadata(&path).unwrap().len());
    }
    // What is live: the objects, the newest heartbeats, and the history that is kept on purpose.
    let live = (OBJECTS + NODES + KEPT as usize) * SIZE;
    let most = live as u64 * 5 / 2;
    assert!(sizes[1..].iter().all(|size| *size <= most), "{sizes:?} is more than {most} for {live} live bytes");
}

async fn write_all(store: &Redb, keys: impl Iterator<Item = String>, value: &str) {
    try_join_all(keys.map(|key| store.write(vec![put(&key, value)]))).await.unwrap();
}
