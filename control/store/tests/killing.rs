//! Kills a process that writes, again and again, and looks for what it had acknowledged.
//!
//! The system keeps what a killed process wrote, so this proves the restart and says nothing about syncing: the crashes
//! of the disk are tested inside the crate.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    env,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use carob_store::{Options, Redb, Revision, Store};
use common::put;

const ROUNDS: usize = 20;
const WRITERS: usize = 8;
/// The variable that makes this executable the process to be killed.
const STORE: &str = "CAROB_TEST_KILLED_STORE";

/// Not a test: what the killed process runs.
#[test]
fn writes_until_it_is_killed() {
    let Some(path) = env::var_os(STORE).map(PathBuf::from) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Redb::open(&path, Options { keep_revisions: 100, ..Options::default() }).unwrap();
        let writers = (0..WRITERS).map(|writer| write_for_ever(&store, writer));
        futures::future::join_all(writers).await;
    });
}

async fn write_for_ever(store: &Redb, writer: usize) {
    for number in store.revision().0.. {
        let Revision(revision) = store.write(vec![put(&format!("/{writer}"), &number.to_string())]).await.unwrap();
        // One write to the pipe: a line is whole, or not there.
        println!("ack {writer} {number} {revision}");
    }
}

/// What a writer was told last.
#[derive(Clone, Copy, Default)]
struct Acknowledged {
    number: u64,
    revision: u64,
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut newest = 0;
    for round in 0..ROUNDS {
        let acknowledged = kill_after(start(&path), 20 + 17 * round);
        let store = Redb::open(&path, Options::default()).unwrap();
        for (writer, last) in acknowledged.iter().enumerate().filter(|(_, last)| last.revision > 0) {
            assert!(last.revision > newest, "no revision is used twice");
            let held = store.get(format!("/{writer}").as_bytes()).await.unwrap().expect("the key is there");
            let number: u64 = String::from_utf8_lossy(&held.value).parse().unwrap();
            assert!(number >= last.number && held.modified.0 >= last.revision, "round {round}, writer {writer}");
        }
        newest = store.revision().0;
        assert!(acknowledged.iter().all(|last| last.revision <= newest));
    }
}

fn start(path: &Path) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "writes_until_it_is_killed", "--nocapture"]).env(STORE, path);
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Kills `child` once it has acknowledged `count` writes, and returns what it had told each writer by then.
fn kill_after(mut child: Child, count: usize) -> [Acknowledged; WRITERS] {
    let mut acknowledged = [Acknowledged::default(); WRITERS];
    let mut seen = 0;
    // The rest of what is in the pipe counts too: it was acknowledged before the kill.
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        let Some((_, ack)) = line.split_once("ack ") else { continue };
        let words: Vec<u64> = ack.split(' ').filter_map(|word| word.parse().ok()).collect();
        if let [writer, number, revision] = words[..] {
            acknowledged[writer as usize] = Acknowledged { number, revision };
            seen += 1;
        }
        if seen == count {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(seen >= count, "the writers ended by themselves");
    acknowledged
}
