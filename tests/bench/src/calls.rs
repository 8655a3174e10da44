//! A call from one container's component to another's, beside the same call between two components that were composed
//! into one, and beside a request to an HTTP component in the same process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use carob_engine::{Composition, ContainerConfig, Engine, Input, Limits, Link, Peer, Program};
use carob_net::{HttpService, Unplugged};
use http_body_util::{BodyExt, Empty};

use crate::http::{Silent, engine};
use crate::table::{Row, Target};

/// Calls of one run.
const CALLS: u32 = 20_000;
const TURNS: usize = 3;

pub(crate) async fn run() -> Result<Vec<Row>> {
    let guests = engine()?;
    let engine = &guests.engine;
    let caller = engine.compile("caller", &wat::parse_str(component(&caller()))?).await?;
    let callee = engine.compile("callee", &wat::parse_str(component(CALLEE))?).await?;
    let composed = engine.compile("composed", &wat::parse_str(composed())?).await?;
    let hello = guests.program("hello-http").await?;
    let [mut across, mut within, mut requested] = [f64::INFINITY; 3];
    for _ in 0..TURNS {
        within = within.min(command(engine, &composed, Composition::default()).await?);
        across = across.min(linked(engine, &caller, &callee).await?);
        requested = requested.min(requests(engine, &hello).await?);
    }
    let row = |what, floor_is, floor, target| Row { what, unit: "us", ours: across, floor_is, floor, target };
    Ok(vec![
        row("call of a sibling container", "call within one component", within, Target::None),
        row("call of a sibling container", "HTTP request, reused instance", requested, Target::AtMost(1.0)),
    ])
}

/// Microseconds of one call.
async fn linked(engine: &Engine, caller: &Program, callee: &Program) -> Result<f64> {
    let peer = Peer::new("callee");
    let exporting = Composition { links: vec![], peer: Some(peer.clone()) };
    let _callee = engine.start(callee, config(exporting))?;
    let link = Link { import: "t:t/i".into(), export: "t:t/i".into(), program: callee.clone(), peer };
    command(engine, caller, Composition { links: vec![link], peer: None }).await
}

async fn command(engine: &Engine, program: &Program, composition: Composition) -> Result<f64> {
    let begun = Instant::now();
    let exit = engine.start(program, config(composition))?.exited().await;
    ensure!(exit.code == 0, "the caller ended with {exit:?}");
    Ok(each(begun.elapsed(), CALLS))
}

async fn requests(engine: &Engine, hello: &Program) -> Result<f64> {
    let container = engine.start(hello, ContainerConfig { http_reuse: true, ..config(Composition::default()) })?;
    let service = container.http().context("the program serves HTTP")?;
    let number = CALLS / 10;
    let begun = Instant::now();
    for _ in 0..number {
        request(&service).await?;
    }
    Ok(each(begun.elapsed(), number))
}

async fn request(service: &Arc<dyn HttpService>) -> Result<()> {
    let body = Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync();
    let request = http::Request::get("http://localhost:8080/").body(body)?;
    let answer = service.call(request).await.map_err(|(refused, _)| anyhow::anyhow!("{refused:?}"))?;
    answer.into_body().collect().await.map_err(|error| anyhow::anyhow!(error))?;
    Ok(())
}

fn each(took: Duration, number: u32) -> f64 {
    took.as_secs_f64() * 1e6 / f64::from(number)
}

fn config(composition: Composition) -> ContainerConfig {
    ContainerConfig {
        name: "bench".into(),
        args: vec![],
        env: vec![],
        mounts: Arc::new([]),
        working_dir: None,
        limits: Limits::default(),
        memory_group: None,
        input: Input::default(),
        terminal: false,
        output: Arc::new(Silent),
        network: Arc::new(Unplugged),
        http_reuse: false,
        capabilities: Arc::default(),
        composition,
    }
}

fn component(inner: &str) -> String {
    format!("(component {inner})")
}

/// One component that holds both, linked by wasmtime itself.
fn composed() -> String {
    format!(
        r#"(component
            (component $callee {CALLEE})
            (component $caller {})
            (instance $callee (instantiate $callee))
            (instance $caller (instantiate $caller (with "t:t/i" (instance $callee "t:t/i"))))
            (export "wasi:cli/run@0.2.0" (instance $caller "wasi:cli/run@0.2.0")))"#,
        caller()
    )
}

/// Calls again and again, and checks every answer.
fn caller() -> String {
    format!(
        r#"(import "t:t/i" (instance $i (export "f" (func (param "n" u32) (result u32)))))
        (core func $f (canon lower (func $i "f")))
        (core module $m
            (import "i" "f" (func $f (param i32) (result i32)))
            (func (export "run") (result i32) (local $n i32)
                (loop $again
                    (local.set $n (call $f (local.get $n)))
                    (br_if $again (i32.lt_u (local.get $n) (i32.const {CALLS}))))
                (i32.ne (local.get $n) (i32.const {CALLS}))))
        (core instance $core (instantiate $m (with "i" (instance (export "f" (func $f))))))
        (func $run (result (result)) (canon lift (core func $core "run")))
        (instance $cli (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $cli))"#
    )
}

/// Adds one.
const CALLEE: &str = r#"
    (core module $m (func (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))
    (core instance $core (instantiate $m))
    (func $f (param "n" u32) (result u32) (canon lift (core func $core "f")))
    (instance $i (export "f" (func $f)))
    (export "t:t/i" (instance $i))"#;
