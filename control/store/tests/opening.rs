//! Every way in which a store cannot be opened has an error that says what to do.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use carob_store::{OpenError, Options, Redb, Store};
use common::put;

fn open_error(path: &Path) -> OpenError {
    Redb::open(path, Options::default()).err().expect("it cannot be opened")
}

#[test]
fn a_second_open_says_who_holds_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let _store = common::redb(&dir);
    let error = open_error(&dir.path().join("store"));
    assert!(matches!(&error, OpenError::Held { holder, .. } if holder == "this process already"), "{error}");
}

#[tokio::test]
async fn what_a_crash_left_of_a_creation_is_no_obstacle() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("store.new"), "half a store").unwrap();
    common::redb(&dir).write(vec![put("/a", "1")]).await.unwrap();
    assert!(common::redb(&dir).get(b"/a").await.unwrap().is_some());
}

#[test]
fn a_directory_is_not_a_store() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(open_error(dir.path()), OpenError::NotAFile { .. }));
}

#[test]
fn the_system_s_refusals_are_passed_on() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    for path in ["missing/store", "file/store"] {
        assert!(matches!(open_error(&dir.path().join(path)), OpenError::Io { .. }), "{path}");
    }
}

#[test]
fn only_the_owner_may_read_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let _store = common::redb(&dir);
    let mode = fs::metadata(dir.path().join("store")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left in the directory");
}

#[test]
fn a_file_of_something_else_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    fs::write(&path, "apiVersion: v1\n".repeat(1000)).unwrap();
    let error = open_error(&path);
    assert!(matches!(error, OpenError::Corrupted { .. }), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "apiVersion: v1\n".repeat(1000));
}

/// Damage is found, or is where it does no harm; it is never a panic.
#[tokio::test]
async fn a_damaged_file_never_panics() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    {
        let store = common::redb(&dir);
        for revision in 0..50 {
            store.write(vec![put(&format!("/{revision}"), &"x".repeat(500))]).await.unwrap();
        }
    }
    let sound = fs::read(&path).unwrap();
    let mut refused = 0;
    for at in (0..sound.len()).step_by(sound.len() / 97) {
        let mut damaged = sound.clone();
        damaged[at..].iter_mut().take(600).for_each(|byte| *byte ^= 0xa5);
        fs::write(&path, damaged).unwrap();
        refused += usize::from(Redb::open(&path, Options::default()).is_err());
    }
    assert!(refused > 0, "some damage is found");
    fs::write(&path, &sound[..sound.len() / 2]).unwrap();
    assert!(matches!(open_error(&path), OpenError::Corrupted { .. }));
}
