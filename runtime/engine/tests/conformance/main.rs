//! The same guests over Carob's sockets and over stock wasmtime-wasi's on the real loopback: what they see is the same, but
//! for what [`differences`] lists, and they see everything that the WIT has.
#![allow(clippy::unwrap_used, reason = "this is a test")]

mod calls;
#[path = "../common/mod.rs"]
mod common;
mod differences;
mod operations;
mod stock;

use std::sync::Arc;

use calls::{Calls, Host};
use carob_net::{Networks, Workload};
use carob_netmesh::{Mesh, MeshConfig};
use differences::{DIFFERENCES, Difference};

/// Both versions in one test: calls are recorded for the whole process.
#[tokio::test(flavor = "multi_thread")]
async fn guests_see_the_same_over_both() {
    let calls = Calls::record();
    for (version, guest) in [("p2", "probe-sockets"), ("p3", "probe-sockets-p3")] {
        let wasm = std::fs::read(common::samples().join(guest).with_extension("wasm")).unwrap();
        let ours = over_ours(&wasm).await;
        let theirs = stock::run(version, &wasm).await;
        compare(version, &ours, &theirs);
        let all = operations::of_wasi_sockets(version);
        for host in [Host::Ours, Host::Stock] {
            let made = calls.made(host, version);
            let missed: Vec<_> = all.difference(&made).collect();
            assert!(missed.is_empty(), "{version}, {host:?}: the guest never calls {missed:#?}");
        }
    }
}

async fn over_ours(wasm: &[u8]) -> String {
    let setup = common::setup();
    let program = setup.compile(wasm).await;
    let output = Arc::new(common::Printed::default());
    let mut config = common::config(output.clone());
    let pod = Workload {
        namespace: "default".to_owned(),
        name: "probe".to_owned(),
        addresses: vec!["10.244.0.2".parse().unwrap()],
        hosts: vec![],
        names: Default::default(),
    };
    config.network = Mesh::new(MeshConfig::default()).join(pod).unwrap();
    let container = setup.engine.start(&program, config).unwrap();
    let exit = common::ended(&container).await;
    assert_eq!(exit.code, 0, "{exit:?}\n{}", output.text());
    output.text()
}

/// Every line is the same, or a difference that is known; and every known difference is still one.
fn compare(version: &str, ours: &str, theirs: &str) {
    let known = || DIFFERENCES.iter().filter(|difference| difference.version == version);
    let mut seen = vec![];
    let mut unknown = vec![];
    for (ours, theirs) in Steps::of(ours).zip(Steps::of(theirs)) {
        assert_eq!(ours.step, theirs.step, "{version}: the guest went two ways");
        if ours.saw == theirs.saw {
            continue;
        }
        let is_this = |known: &&Difference| {
            known.step == ours.step && ours.saw.contains(known.ours) && theirs.saw.contains(known.theirs)
        };
        match known().find(is_this) {
            Some(difference) => seen.push(difference.step),
            None => unknown.push(format!("{}: {} over ours, {} over theirs", ours.step, ours.saw, theirs.saw)),
        }
    }
    assert!(unknown.is_empty(), "{version}: {unknown:#?}");
    assert_eq!(ours.lines().count(), theirs.lines().count(), "{version}: {ours}\n---\n{theirs}");
    let gone: Vec<_> = known().filter(|difference| !seen.contains(&difference.step)).map(|known| known.step).collect();
    assert!(gone.is_empty(), "{version}: there is no difference any more in {gone:?}");
}

/// One line of a guest.
struct Steps<'a> {
    step: &'a str,
    saw: &'a str,
}

impl<'a> Steps<'a> {
    fn of(text: &'a str) -> impl Iterator<Item = Steps<'a>> {
        text.lines().map(|line| {
            let (step, saw) = line.split_once(": ").unwrap_or((line, ""));
            Steps { step, saw }
        })
    }
}
