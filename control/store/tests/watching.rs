//! Watching from the present, from history and across a restart, on both backends.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use carob_store::{Error, Event, Memory, Options, Redb, Revision, Store};
use common::{delete, put};
use futures::{FutureExt, StreamExt, stream::BoxStream};

type Watch = BoxStream<'static, Result<Event, Error>>;

async fn next(watch: &mut Watch) -> Result<Event, Error> {
    tokio::time::timeout(Duration::from_secs(20), watch.next()).await.expect("an event").expect("no end")
}

/// Takes `count` events and says of each: revision, key, what it holds, what it held.
async fn take(watch: &mut Watch, count: usize) -> Vec<String> {
    let text = |held: Option<carob_store::KeyValue>| {
        held.map_or("-".into(), |held| String::from_utf8_lossy(&held.value).into_owned())
    };
    let mut events = Vec::new();
    for _ in 0..count {
        let event = next(watch).await.unwrap();
        let key = String::from_utf8_lossy(&event.key).into_owned();
        events.push(format!("{} {key} {} was {}", event.revision, text(event.now), text(event.before)));
    }
    events
}

async fn a_story(store: &dyn Store) {
    for writes in [vec![put("/a/1", "one"), put("/b/1", "other")], vec![put("/a/1", "two")], vec![delete("/a/1")]] {
        store.write(writes).await.unwrap();
    }
}

const STORY: [&str; 3] = ["1 /a/1 one was -", "2 /a/1 two was one", "3 /a/1 - was two"];

async fn follows_a_prefix_from_any_revision(store: &dyn Store) {
    let mut early = store.watch(b"/a/", b"/a0", Revision(0)).await.unwrap();
    assert!(early.next().now_or_never().is_none(), "there is nothing yet");
    a_story(store).await;
    assert_eq!(take(&mut early, 3).await, STORY);
    let mut late = store.watch(b"/a/", b"/a0", Revision(1)).await.unwrap();
    assert_eq!(take(&mut late, 2).await, STORY[1..]);
    assert!(late.next().now_or_never().is_none(), "there is nothing more");
    let future = store.watch(b"", b"", Revision(9)).await.err();
    assert!(matches!(future, Some(Error::Future { asked: Revision(9), newest: Revision(3) })));
}

#[tokio::test(start_paused = true)]
async fn memory_follows_a_prefix_from_any_revision() {
    follows_a_prefix_from_any_revision(&Memory::new()).await;
}

#[tokio::test]
async fn redb_follows_a_prefix_from_any_revision() {
    let dir = tempfile::tempdir().unwrap();
    follows_a_prefix_from_any_revision(&common::redb(&dir)).await;
}

#[tokio::test]
async fn a_watch_resumes_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    a_story(&common::redb(&dir)).await;
    let store = common::redb(&dir);
    let mut watch = store.watch(b"/a/", b"/a0", Revision(0)).await.unwrap();
    assert_eq!(take(&mut watch, 3).await, STORY);
    store.write(vec![put("/a/1", "three")]).await.unwrap();
    assert_eq!(take(&mut watch, 1).await, ["4 /a/1 three was -"]);
}

async fn a_slow_watcher_catches_up_or_is_told(store: &dyn Store) {
    let mut slow = store.watch(b"", b"", Revision(0)).await.unwrap();
    let mut lost = store.watch(b"", b"", Revision(0)).await.unwrap();
    for _ in 0..10 {
        let writes = (0..1000).map(|number| store.write(vec![put(["a", "b", "c"][number % 3], "value")]));
        futures::future::try_join_all(writes).await.unwrap();
    }
    for revision in 1..=10_000 {
        assert_eq!(next(&mut slow).await.unwrap().revision, Revision(revision), "no gap, no double");
    }
    store.compact(Revision(10_000)).await.unwrap();
    let error = next(&mut lost).await.unwrap_err();
    assert!(matches!(error, Error::Compacted { oldest: Revision(10_000), .. }), "{error}");
    assert!(lost.next().await.is_none(), "an error ends it");
    assert!(matches!(store.watch(b"", b"", Revision(9_999)).await.err(), Some(Error::Compacted { .. })));
}

#[tokio::test(start_paused = true)]
async fn memory_lets_a_slow_watcher_catch_up_or_tells_it() {
    a_slow_watcher_catches_up_or_is_told(&Memory::new()).await;
}

#[tokio::test]
async fn redb_lets_a_slow_watcher_catch_up_or_tells_it() {
    let dir = tempfile::tempdir().unwrap();
    a_slow_watcher_catches_up_or_is_told(&common::redb(&dir)).await;
}

#[tokio::test]
async fn closing_the_store_ends_its_watches_and_frees_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = common::redb(&dir);
    let mut watch = store.watch(b"", b"", Revision(0)).await.unwrap();
    drop(store);
    assert!(watch.next().await.is_none());
    common::redb(&dir);
}

#[tokio::test(start_paused = true)]
async fn history_is_let_go_when_its_time_is_over() {
    let store = Memory::with(&Options { keep_history: Duration::from_secs(60), ..Options::default() });
    a_story(&store).await;
    tokio::time::advance(Duration::from_secs(59)).await;
    store.write(vec![put("/a/2", "x")]).await.unwrap();
    assert!(store.range(b"", b"", 0, Some(Revision(1))).await.is_ok());
    tokio::time::advance(Duration::from_secs(61)).await;
    store.write(vec![put("/a/2", "y")]).await.unwrap();
    let gone = store.range(b"", b"", 0, Some(Revision(1))).await.unwrap_err();
    assert!(matches!(gone, Error::Compacted { .. }), "{gone}");
}

#[tokio::test]
async fn an_idle_store_lets_its_history_go_too() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { keep_history: Duration::from_millis(200), ..Options::default() };
    let store = Redb::open(&dir.path().join("store"), options).unwrap();
    a_story(&store).await;
    let gone = async {
        while store.range(b"", b"", 0, Some(Revision(1))).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap();
}
