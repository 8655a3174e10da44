//! What buckets promise.
#![allow(clippy::unwrap_used, reason = "it is all test code")]

use std::path::PathBuf;

use carob_keyvalue::{Error, KeyValues, Limits, Swapped};
use tempfile::TempDir;

struct Setup {
    folder: TempDir,
    keyvalues: KeyValues,
}

fn setup() -> Setup {
    setup_with(Limits::default())
}

fn setup_with(limits: Limits) -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let keyvalues = KeyValues::open(&folder.path().join("buckets.redb"), limits).unwrap();
    Setup { folder, keyvalues }
}

impl Setup {
    fn path(&self) -> PathBuf {
        self.folder.path().join("buckets.redb")
    }
}

fn text(value: &str) -> Vec<u8> {
    value.as_bytes().to_vec()
}

fn keys(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn what_was_set_is_read_until_it_is_deleted() {
    let setup = setup();
    let bucket = setup.keyvalues.bucket("space", "bucket");
    bucket.set(vec![("a".into(), text("1")), ("b".into(), text("2")), ("a".into(), text("3"))]).await.unwrap();
    assert_eq!(bucket.get(keys(&["b", "x", "a"])).await.unwrap(), [Some(text("2")), None, Some(text("3"))]);
    bucket.delete(keys(&["a", "x"])).await.unwrap();
    assert_eq!(bucket.get(keys(&["a", "b"])).await.unwrap(), [None, Some(text("2"))]);
}

#[tokio::test]
async fn what_is_acknowledged_is_there_when_the_file_is_opened_again() {
    let Setup { folder, keyvalues } = setup();
    keyvalues.bucket("space", "bucket").increment("n".into(), 7, 0, 100).await.unwrap();
    drop(keyvalues);
    let again = KeyValues::open(&folder.path().join("buckets.redb"), Limits::default()).unwrap();
    assert_eq!(again.bucket("space", "bucket").get(keys(&["n"])).await.unwrap(), [Some(text("7"))]);
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_reads_the_file() {
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(setup().path()).unwrap());
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}

/// Every change in one batch sees those before it, whatever they were.
#[tokio::test(flavor = "multi_thread")]
async fn changes_of_many_kinds_at_once_add_up() {
    let setup = setup();
    let bucket = setup.keyvalues.bucket("space", "bucket");
    let tasks: Vec<_> = (0..200_i128)
        .map(|n| {
            let bucket = bucket.clone();
            tokio::spawn(async move {
                match n % 4 {
                    0 => drop(bucket.increment("n".into(), 1, 0, 1000).await.unwrap()),
                    1 => bucket.set(vec![(format!("key-{n}"), vec![0; 100])]).await.unwrap(),
                    2 => bucket.delete(vec![format!("absent-{n}")]).await.unwrap(),
                    _ => drop(bucket.swap("word".into(), None, text("first")).await.unwrap()),
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(bucket.get(keys(&["n", "word"])).await.unwrap(), [Some(text("50")), Some(text("first"))]);
    assert_eq!(bucket.list(None).await.unwrap().keys.len(), 52);
    bucket.delete(bucket.list(None).await.unwrap().keys).await.unwrap();
    assert_eq!(bucket.list(None).await.unwrap().keys.len(), 0);
}

#[tokio::test]
async fn one_process_has_the_file() {
    let setup = setup();
    let error = KeyValues::open(&setup.path(), Limits::default()).err().unwrap();
    assert!(error.to_string().contains("in use by another process"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn increments_of_many_add_up() {
    let setup = setup();
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let bucket = setup.keyvalues.bucket("space", "bucket");
            tokio::spawn(async move {
                for _ in 0..50 {
                    bucket.increment("n".into(), 1, 0, i128::MAX).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let bucket = setup.keyvalues.bucket("space", "bucket");
    assert_eq!(bucket.get(keys(&["n"])).await.unwrap(), [Some(text("1600"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_those_who_swap_at_once_one_wins_each_time() {
    let setup = setup();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let bucket = setup.keyvalues.bucket("space", "bucket");
            tokio::spawn(async move {
                let mut current = None;
                for _ in 0..20 {
                    loop {
                        let next = current.as_deref().map_or(1, |text| number(text) + 1).to_string();
                        match bucket.swap("n".into(), current.clone(), text(&next)).await.unwrap() {
                            Swapped::Done => break,
                            Swapped::Changed(now) => current = now,
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let bucket = setup.keyvalues.bucket("space", "bucket");
    assert_eq!(bucket.get(keys(&["n"])).await.unwrap(), [Some(text("160"))]);
}

fn number(text: &[u8]) -> u64 {
    std::str::from_utf8(text).unwrap().parse().unwrap()
}

#[tokio::test]
async fn spaces_and_buckets_know_nothing_of_each_other() {
    let setup = setup();
    let places = [("a", "x"), ("a", "y"), ("a", "x2"), ("ab", "x"), ("b", "x")];
    for (space, name) in places {
        let entry = ("key".to_owned(), text(&format!("{space}/{name}")));
        setup.keyvalues.bucket(space, name).set(vec![entry]).await.unwrap();
    }
    for (space, name) in places {
        let bucket = setup.keyvalues.bucket(space, name);
        assert_eq!(bucket.get(keys(&["key"])).await.unwrap(), [Some(text(&format!("{space}/{name}")))]);
        assert_eq!(bucket.list(None).await.unwrap().keys, ["key"]);
    }
    assert_eq!(setup.keyvalues.spaces().await.unwrap(), ["a", "ab", "b"]);
}

#[tokio::test]
async fn a_removed_space_is_gone_and_stays_so() {
    let setup = setup();
    let (gone, kept) = (setup.keyvalues.bucket("a", "x"), setup.keyvalues.bucket("ab", "x"));
    for bucket in [&gone, &kept, &setup.keyvalues.bucket("a", "y")] {
        bucket.set(vec![("key".into(), text("value"))]).await.unwrap();
    }
    setup.keyvalues.remove("a").await.unwrap();
    assert_eq!(gone.get(keys(&["key"])).await.unwrap(), [None]);
    assert_eq!(kept.get(keys(&["key"])).await.unwrap(), [Some(text("value"))]);
    assert_eq!(setup.keyvalues.spaces().await.unwrap(), ["ab"]);
    let late = gone.set(vec![("key".into(), text("value"))]).await;
    assert_eq!(late, Err(Error::Removed));
}

#[tokio::test]
async fn a_list_goes_on_where_it_ended_whatever_was_deleted() {
    let setup = setup_with(Limits { page_keys: 3, ..Limits::default() });
    let bucket = setup.keyvalues.bucket("space", "bucket");
    let all: Vec<String> = (0..8).map(|n| format!("key-{n}")).collect();
    bucket.set(all.iter().map(|key| (key.clone(), Vec::new())).collect()).await.unwrap();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = bucket.list(after.clone()).await.unwrap();
        bucket.delete(page.keys.clone()).await.unwrap();
        after = page.keys.last().cloned();
        seen.extend(page.keys);
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, all);
    assert_eq!(bucket.list(None).await.unwrap().keys, Vec::<String>::new());
}

#[tokio::test]
async fn limits_hold() {
    let limits = Limits {
        key_bytes: 8,
        value_bytes: 100,
        batch_entries: 3,
        batch_bytes: 250,
        bucket_bytes: 1000,
        space_bytes: 1500,
        ..Limits::default()
    };
    let setup = setup_with(limits);
    let bucket = setup.keyvalues.bucket("space", "bucket");
    let entry = |key: &str, bytes: usize| (key.to_owned(), vec![0; bytes]);
    assert_eq!(bucket.set(vec![entry("", 1)]).await, Err(Error::EmptyKey));
    assert_eq!(bucket.set(vec![entry("123456789", 1)]).await, Err(Error::KeyTooLong { bytes: 9, limit: 8 }));
    assert_eq!(bucket.set(vec![entry("a", 101)]).await, Err(Error::ValueTooLong { bytes: 101, limit: 100 }));
    let many = (0..4).map(|n| entry(&n.to_string(), 1)).collect();
    assert!(matches!(bucket.set(many).await, Err(Error::BatchTooLarge { limit: 3, .. })));
    let heavy = (0..3).map(|n| entry(&n.to_string(), 100)).collect();
    assert!(matches!(bucket.set(heavy).await, Err(Error::BatchTooLarge { limit: 250, .. })));
    // Each takes 1 + 100 + 64 bytes.
    for n in 0..6 {
        bucket.set(vec![entry(&n.to_string(), 100)]).await.unwrap();
    }
    let full = Error::BucketFull { bucket: "bucket".into(), bytes: 1155, limit: 1000 };
    assert_eq!(bucket.set(vec![entry("7", 100)]).await, Err(full));
    bucket.set(vec![entry("0", 99)]).await.expect("what does not grow is taken");
    let other = setup.keyvalues.bucket("space", "other");
    for n in 0..3 {
        other.set(vec![entry(&n.to_string(), 100)]).await.unwrap();
    }
    assert!(matches!(other.set(vec![entry("3", 100)]).await, Err(Error::SpaceFull { limit: 1500, .. })));
    bucket.delete(keys(&["0"])).await.unwrap();
    other.set(vec![entry("3", 100)]).await.expect("there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_is_refused_for_concerns_no_other() {
    let setup = setup();
    let bucket = setup.keyvalues.bucket("space", "bucket");
    bucket.set(vec![("word".into(), text("seven"))]).await.unwrap();
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let bucket = bucket.clone();
            let key = if n % 2 == 0 { "n" } else { "word" };
            tokio::spawn(async move { (n, bucket.increment(key.into(), 1, 0, 1000).await) })
        })
        .collect();
    for task in tasks {
        let (n, outcome) = task.await.unwrap();
        let expected =
            if n % 2 == 0 { outcome.is_ok() } else { outcome == Err(Error::NotANumber { key: "word".into() }) };
        assert!(expected, "{n}: {outcome:?}");
    }
    assert_eq!(bucket.get(keys(&["n"])).await.unwrap(), [Some(text("50"))]);
}
