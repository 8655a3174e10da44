//! What the tests of the store share.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use carob_store::{Change, Expect, Options, Redb, Write};
use tempfile::TempDir;

pub(crate) fn redb(dir: &TempDir) -> Redb {
    Redb::open(&dir.path().join("store"), Options::default()).unwrap()
}

pub(crate) fn put(key: &str, value: &str) -> Write {
    expecting(key, Expect::Anything, Change::Put(Bytes::copy_from_slice(value.as_bytes())))
}

pub(crate) fn delete(key: &str) -> Write {
    expecting(key, Expect::Anything, Change::Delete)
}

pub(crate) fn expecting(key: &str, expect: Expect, change: Change) -> Write {
    Write { key: Bytes::copy_from_slice(key.as_bytes()), expect, change }
}
