//! Components that call each other.

#![allow(clippy::unwrap_used, reason = "it is all test code")]

mod common;

use std::sync::Arc;

use carob_engine::{
    Composition, Container, ContainerConfig, Kind, Limits, Link, LinkError, Peer, Program, Reason, StartError,
};
use carob_net::HttpService;
use common::{Printed, SPIN, Setup, call, config, ended, eventually, get, read, setup, setup_with};
use futures::FutureExt;

const INTERFACE: &str = "shop:prices/quotes@1.0.0";

/// The samples `shop` and `prices`, linked.
struct Pair {
    setup: Setup,
    prices: Program,
    peer: Arc<Peer>,
    shop: Container,
}

impl Pair {
    async fn start() -> Pair {
        let setup = setup();
        let (shop, prices) = (setup.sample("shop").await, setup.sample("prices").await);
        let peer = Peer::new("prices");
        let links = vec![link(INTERFACE, &prices, &peer)];
        let shop = setup.engine.start(&shop, linked(links)).unwrap();
        Pair { setup, prices, peer, shop }
    }

    /// A run of the exporter.
    fn exporter(&self, limits: Limits) -> (Container, Arc<Printed>) {
        let output = Arc::new(Printed::default());
        let composition = Composition { links: vec![], peer: Some(self.peer.clone()) };
        let env = vec![("CURRENCY".into(), "EUR".into())];
        let config = ContainerConfig { name: "prices".into(), env, limits, composition, ..config(output.clone()) };
        (self.setup.engine.start(&self.prices, config).unwrap(), output)
    }

    async fn get(&self, path: &str) -> Result<(u16, String), String> {
        ask(&self.shop.http().unwrap(), path).await
    }
}

async fn ask(service: &Arc<dyn HttpService>, path: &str) -> Result<(u16, String), String> {
    match call(service, get(path)).await {
        Ok(response) => Ok(read(response).await),
        Err(refused) => Err(format!("{refused:?}")),
    }
}

fn link(interface: &str, program: &Program, peer: &Arc<Peer>) -> Link {
    Link { import: interface.into(), export: interface.into(), program: program.clone(), peer: peer.clone() }
}

fn linked(links: Vec<Link>) -> ContainerConfig {
    let composition = Composition { links, peer: None };
    ContainerConfig { composition, ..config(Arc::new(Printed::default())) }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_cross_and_each_side_keeps_what_is_its_own() {
    let pair = Pair::start().await;
    assert_eq!(pair.prices.kind(), Kind::Library);
    assert_eq!(pair.prices.interfaces().exports, [INTERFACE]);
    let (prices, _) = pair.exporter(Limits::default());
    assert_eq!(pair.get("/quote/apple").await, Ok((200, "apple: 30\n".into())), "no CURRENCY of the sibling's");
    assert_eq!(pair.get("/quote/stone").await, Ok((404, "nobody sells stone\n".into())));
    assert_eq!(pair.get("/given").await, Ok((200, "2\n".into())), "the one instance keeps its memory");
    assert!(prices.usage().memory_bytes > 0 && prices.usage().cpu > std::time::Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_lives_with_its_exporter_until_the_importer_drops_it() {
    let pair = Pair::start().await;
    let (_prices, output) = pair.exporter(Limits::default());
    assert_eq!(pair.get("/basket/apple,pear,apple").await, Ok((200, "1.05 EUR\n".into())));
    output.contains("a basket was put back").await;
    assert_eq!(output.text(), "a basket was taken\na basket was put back\n");
    // Also when the importer's instance ends with it.
    assert_eq!(pair.get("/basket/apple,stone").await, Ok((404, "nobody sells stone\n".into())));
    output.contains("a basket was put back\na basket was taken\na basket was put back").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_share_the_one_instance() {
    let pair = Arc::new(Pair::start().await);
    let (_prices, _) = pair.exporter(Limits::default());
    let callers: Vec<_> = (0..200)
        .map(|_| {
            let pair = pair.clone();
            tokio::spawn(async move { pair.get("/quote/pear").await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Ok((200, "pear: 45\n".into())));
    }
    assert_eq!(pair.get("/given").await, Ok((200, "200\n".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_of_the_exporter_ends_it_and_fails_the_call_and_the_next_run_takes_over() {
    let pair = Pair::start().await;
    let (prices, _) = pair.exporter(Limits::default());
    assert_eq!(pair.get("/quote/apple").await, Ok((200, "apple: 30\n".into())));
    let failed = pair.get("/quote/trap").await.unwrap_err();
    assert!(failed.contains("container \\\"prices\\\" ended during a call of it"), "{failed}");
    let exit = ended(&prices).await;
    assert_eq!((exit.code, exit.reason), (134, Reason::Error));
    let (_again, _) = pair.exporter(Limits::default());
    assert_eq!(pair.get("/given").await, Ok((200, "0\n".into())), "a new run begins anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exporters_memory_limit_is_its_own() {
    let pair = Pair::start().await;
    let (prices, _) = pair.exporter(Limits { memory: Some(16 << 20), ..Limits::default() });
    let failed = pair.get("/quote/memory").await.unwrap_err();
    assert!(failed.contains("prices") && failed.contains("memory limit exceeded"), "{failed}");
    assert_eq!(ended(&prices).await.reason, Reason::OomKilled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_waits_for_an_exporter_that_comes_later() {
    let pair = Arc::new(Pair::start().await);
    let asking = pair.clone();
    let asked = tokio::spawn(async move { asking.get("/quote/apple").await });
    tokio::task::yield_now().await;
    let (_prices, _) = pair.exporter(Limits::default());
    assert_eq!(asked.await.unwrap(), Ok((200, "apple: 30\n".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_that_is_told_to_end_leaves_its_place_to_the_next_run() {
    let pair = Arc::new(Pair::start().await);
    let (prices, _) = pair.exporter(Limits::default());
    assert_eq!(pair.get("/quote/apple").await, Ok((200, "apple: 30\n".into())));
    prices.terminate(std::time::Duration::from_secs(600));
    assert_eq!(ended(&prices).await.code, 0);
    let asking = pair.clone();
    let asked = tokio::spawn(async move { asking.get("/given").await });
    let (_again, _) = pair.exporter(Limits::default());
    assert_eq!(asked.await.unwrap(), Ok((200, "0\n".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_is_used_as_long_as_a_container_is_linked_to_it() {
    let pair = Pair::start().await;
    let (prices, _) = pair.exporter(Limits::default());
    assert_eq!(pair.get("/quote/apple").await, Ok((200, "apple: 30\n".into())));
    assert!(prices.unused().now_or_never().is_none());
    drop(pair);
    tokio::time::timeout(std::time::Duration::from_secs(60), prices.unused()).await.expect("nobody is linked to it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_linked_is_named() {
    let setup = setup();
    let shop = setup.sample("shop").await;
    let error = setup.engine.start(&shop, linked(vec![])).err().unwrap();
    assert!(matches!(&error, StartError::Link(LinkError::Missing { import }) if import == INTERFACE), "{error}");
}

/// A command of WASI 0.3 that calls an async function of `t:t/i`, and ends with 0 if it adds one.
const ASYNC_IMPORTER: &str = r#"(component
    (import "t:t/i" (instance $i (export "f" (func async (param "p" u32) (result u32)))))
    (core func $f (canon lower (func $i "f")))
    (core module $m
        (import "i" "f" (func $f (param i32) (result i32)))
        (func (export "run") (result i32) (i32.ne (call $f (i32.const 41)) (i32.const 42))))
    (core instance $core (instantiate $m (with "i" (instance (export "f" (func $f))))))
    (func $run async (result (result)) (canon lift (core func $core "run")))
    (instance $cli (export "run" (func $run)))
    (export "wasi:cli/run@0.3.0" (instance $cli)))"#;

const ASYNC_EXPORTER: &str = r#"(component
    (core func $return (canon task.return (result u32)))
    (core module $m
        (import "" "return" (func $return (param i32)))
        (func (export "f") (param i32) (result i32)
            (call $return (i32.add (local.get 0) (i32.const 1)))
            (i32.const 0))
        (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
    (core instance $core (instantiate $m (with "" (instance (export "return" (func $return))))))
    (func $f async (param "p" u32) (result u32)
        (canon lift (core func $core "f") async (callback (core func $core "callback"))))
    (instance $i (export "f" (func $f)))
    (export "t:t/i" (instance $i)))"#;

#[tokio::test(flavor = "multi_thread")]
async fn async_functions_cross_too() {
    let setup = setup();
    let (importer, exporter) = (setup.wat(ASYNC_IMPORTER).await, setup.wat(ASYNC_EXPORTER).await);
    let peer = Peer::new("sibling");
    let composition = Composition { links: vec![], peer: Some(peer.clone()) };
    let exporting = ContainerConfig { composition, ..config(Arc::new(Printed::default())) };
    let _exporter = setup.engine.start(&exporter, exporting).unwrap();
    let importer = setup.engine.start(&importer, linked(vec![link("t:t/i", &exporter, &peer)])).unwrap();
    let exit = ended(&importer).await;
    assert_eq!(exit.code, 0, "{exit:?}");
}

/// A command that calls `f` of `t:t/i` with 1.
const CALLER: &str = r#"(component
    (import "t:t/i" (instance $i (export "f" (func (param "p" u32)))))
    (core func $f (canon lower (func $i "f")))
    (core module $m
        (import "i" "f" (func $f (param i32)))
        (func (export "run") (result i32) (call $f (i32.const 1)) (i32.const 0)))
    (core instance $core (instantiate $m (with "i" (instance (export "f" (func $f))))))
    (func $run (result (result)) (canon lift (core func $core "run")))
    (instance $cli (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $cli)))"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_goes_on_after_its_caller_is_ended_with_its_container() {
    let setup = setup_with(|config| config.http.after_response = std::time::Duration::from_millis(50));
    let caller = setup.wat(CALLER).await;
    let spinner = setup.wat(&exporter("u32", &format!("(param i32) {SPIN}"))).await;
    let peer = Peer::new("spinner");
    let composition = Composition { links: vec![], peer: Some(peer.clone()) };
    let exporting = ContainerConfig { composition, ..config(Arc::new(Printed::default())) };
    let spinner_runs = setup.engine.start(&spinner, exporting).unwrap();
    let caller = setup.engine.start(&caller, linked(vec![link("t:t/i", &spinner, &peer)])).unwrap();
    eventually(|| spinner_runs.usage().cpu >= std::time::Duration::from_millis(20)).await;
    assert!(spinner_runs.exited().now_or_never().is_none(), "somebody waits for it");
    caller.kill();
    let exit = ended(&spinner_runs).await;
    assert!(exit.code == 137 && exit.message.contains("after its caller had gone away"), "{exit:?}");
    // The end is told first, then acted upon.
    eventually(|| !peer.is_running()).await;
}

/// An importer of `t:t/i` with one function of this type.
fn importer(function: &str) -> String {
    format!(
        r#"(component
            (import "t:t/i" (instance $i (export "f" (func {function}))))
            (core module $m (func (export "run") (result i32) (i32.const 0)))
            (core instance $core (instantiate $m))
            (func $run (result (result)) (canon lift (core func $core "run")))
            (instance $cli (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $cli)))"#
    )
}

/// An exporter of `t:t/i`, whose function takes one value and returns nothing.
fn exporter(parameter: &str, core: &str) -> String {
    format!(
        r#"(component
            (core module $m (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
                (func (export "f") {core}))
            (core instance $core (instantiate $m))
            (func $f (param "p" {parameter})
                (canon lift (core func $core "f") (memory (core memory $core "memory"))
                    (realloc (core func $core "realloc"))))
            (instance $i (export "f" (func $f)))
            (export "t:t/i" (instance $i)))"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_with_what_differs() {
    let setup = setup();
    let cases = [
        ("(param \"p\" u32)", "u32", "(param i32)", None),
        ("(param \"p\" u32)", "s32", "(param i32)", Some("a u32 here and an s32 there")),
        ("(param \"p\" (list string))", "(list string)", "(param i32 i32)", None),
        ("(param \"p\" (list string))", "(list u8)", "(param i32 i32)", Some("a string here and a u8 there")),
        ("(param \"p\" u32) (param \"q\" u32)", "u32", "(param i32)", Some("the number of its parameters")),
        ("(param \"p\" u32) (result u32)", "u32", "(param i32)", Some("the number of its parameters or results")),
        ("(param \"p\" (stream u8))", "(stream u8)", "(param i32)", Some("streams and error contexts cannot cross")),
        ("(param \"p\" (future u8))", "(future u8)", "(param i32)", Some("futures, streams")),
    ];
    for (import, parameter, core, expected) in cases {
        let (importer, exporter) = (setup.wat(&importer(import)).await, setup.wat(&exporter(parameter, core)).await);
        let peer = Peer::new("sibling");
        let started = setup.engine.start(&importer, linked(vec![link("t:t/i", &exporter, &peer)]));
        match (started, expected) {
            (Ok(_), None) => {}
            (Err(error), Some(expected)) => {
                let error = error.to_string();
                assert!(error.contains(expected) && error.contains("\"sibling\""), "{import}: {error}");
            }
            (started, _) => panic!("{import} and {parameter}: {:?}", started.err()),
        }
    }
}
