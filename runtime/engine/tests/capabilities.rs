//! `wasi:config`, `wasi:logging` and `wasi:keyvalue`, by a guest that uses all three.

#![allow(clippy::unwrap_used, reason = "it is all test code")]

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use carob_engine::{
    Bucket, BucketError, BucketGrant, Capabilities, Capability, Container, ContainerConfig, Keys, StartError, Swapped,
};
use common::{Printed, Setup, call, config, get, read, setup};
use futures::FutureExt;
use futures::future::BoxFuture;

/// A bucket in memory.
#[derive(Default)]
struct InMemory(Mutex<BTreeMap<String, Vec<u8>>>);

impl Bucket for InMemory {
    fn get(&self, keys: Vec<String>) -> BoxFuture<'_, Result<Vec<Option<Vec<u8>>>, BucketError>> {
        let entries = self.0.lock().unwrap();
        let found = keys.iter().map(|key| entries.get(key).cloned()).collect();
        async { Ok(found) }.boxed()
    }

    fn set(&self, entries: Vec<(String, Vec<u8>)>) -> BoxFuture<'_, Result<(), BucketError>> {
        self.0.lock().unwrap().extend(entries);
        async { Ok(()) }.boxed()
    }

    fn delete(&self, keys: Vec<String>) -> BoxFuture<'_, Result<(), BucketError>> {
        self.0.lock().unwrap().retain(|key, _| !keys.contains(key));
        async { Ok(()) }.boxed()
    }

    fn list(&self, _: Option<String>) -> BoxFuture<'_, Result<Keys, BucketError>> {
        let keys = self.0.lock().unwrap().keys().cloned().collect();
        async { Ok(Keys { keys, more: false }) }.boxed()
    }

    fn increment(&self, key: String, delta: i128, _: i128, max: i128) -> BoxFuture<'_, Result<i128, BucketError>> {
        let mut entries = self.0.lock().unwrap();
        let now: i128 = entries.get(&key).map_or(0, |text| String::from_utf8_lossy(text).parse().unwrap());
        let sum = if now + delta > max { Err(BucketError("too large".into())) } else { Ok(now + delta) };
        if let Ok(sum) = sum {
            entries.insert(key, sum.to_string().into_bytes());
        }
        async { sum }.boxed()
    }

    fn swap(
        &self,
        key: String,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> BoxFuture<'_, Result<Swapped, BucketError>> {
        let mut entries = self.0.lock().unwrap();
        let current = entries.get(&key).cloned();
        let swapped = if current == expected { Swapped::Done } else { Swapped::Changed(current) };
        if swapped == Swapped::Done {
            entries.insert(key, value);
        }
        async { Ok(swapped) }.boxed()
    }
}

async fn visits(setup: &Setup, capabilities: Capabilities) -> Result<(Container, Arc<Printed>), StartError> {
    let program = setup.sample("visits").await;
    let output = Arc::new(Printed::default());
    let config = ContainerConfig { capabilities: Arc::new(capabilities), ..config(output.clone()) };
    Ok((setup.engine.start(&program, config)?, output))
}

fn granted(bucket: Arc<InMemory>, writable: bool) -> Capabilities {
    Capabilities {
        config: [("GREETING".to_owned(), "Visits: ".to_owned())].into(),
        buckets: [("counts".to_owned(), BucketGrant { bucket, writable })].into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_counts_greets_and_logs() {
    let (setup, bucket) = (setup(), Arc::new(InMemory::default()));
    let (container, output) = visits(&setup, granted(bucket.clone(), true)).await.unwrap();
    let service = container.http().unwrap();
    for n in 1..=3 {
        let answer = read(call(&service, get("/")).await.unwrap()).await;
        assert_eq!(answer, (200, format!("Visits: {n}\n")));
    }
    assert_eq!(read(call(&service, get("/peek")).await.unwrap()).await, (200, "Visits: 3\n".into()));
    assert_eq!(bucket.0.lock().unwrap()["visits"], b"3");
    let expected: String = (1..=3).map(|n| format!("INFO visits: visitor {n}\\nwas counted\n")).collect();
    assert_eq!(output.stderr(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_only_is_not_changed_and_what_is_not_named_is_not_there() {
    let (setup, bucket) = (setup(), Arc::new(InMemory::default()));
    let (container, _) = visits(&setup, granted(bucket.clone(), false)).await.unwrap();
    let service = container.http().unwrap();
    let (status, text) = read(call(&service, get("/")).await.unwrap()).await;
    assert!(status == 500 && text.contains("AccessDenied"), "{status} {text}");
    assert!(bucket.0.lock().unwrap().is_empty());

    let mut other = granted(bucket, true);
    let grant = other.buckets.remove("counts").unwrap();
    other.buckets.insert("another".into(), grant);
    let (container, _) = visits(&setup, other).await.unwrap();
    let (status, text) = read(call(&container.http().unwrap(), get("/")).await.unwrap()).await;
    assert!(status == 500 && text.contains("NoSuchStore"), "{status} {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_grant_the_container_does_not_start() {
    let setup = setup();
    let error = visits(&setup, Capabilities::default()).await.err().unwrap();
    let StartError::NotGranted { import, capability } = &error else { panic!("{error}") };
    assert_eq!(*capability, Capability::KeyValue);
    assert!(import.starts_with("wasi:keyvalue/") && error.to_string().contains(import), "{error}");
}
