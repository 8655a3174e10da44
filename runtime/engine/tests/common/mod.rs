//! What the tests of the engine share.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "it is all test code")]

pub(crate) mod network;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carob_engine::{
    Composition, Container, ContainerConfig, Engine, EngineConfig, Exit, Input, Limits, Output, Program, Stream,
};
use carob_net::{Body, HttpService, Refused, Unplugged};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use tempfile::TempDir;

/// An engine with a cache folder of its own.
pub(crate) struct Setup {
    pub(crate) engine: Engine,
    pub(crate) cache: TempDir,
}

pub(crate) fn setup() -> Setup {
    setup_with(|_| {})
}

pub(crate) fn setup_with(change: impl FnOnce(&mut EngineConfig)) -> Setup {
    let cache = tempfile::tempdir().unwrap();
    let mut config = EngineConfig::new(cache.path());
    config.instances = Some(64);
    change(&mut config);
    Setup { engine: Engine::new(config).unwrap(), cache }
}

impl Setup {
    pub(crate) async fn wat(&self, text: &str) -> Program {
        let wasm = wat::parse_str(text).unwrap();
        self.compile(&wasm).await
    }

    pub(crate) async fn sample(&self, name: &str) -> Program {
        self.compile(&std::fs::read(samples().join(name).with_extension("wasm")).unwrap()).await
    }

    pub(crate) async fn compile(&self, wasm: &[u8]) -> Program {
        self.engine.compile(&digest(wasm), wasm).await.unwrap()
    }

    pub(crate) async fn run(&self, program: &Program, args: &[&str], limits: Limits) -> (Exit, String) {
        let (container, output) = self.start(program, args, limits);
        (ended(&container).await, output.text())
    }

    pub(crate) fn start(&self, program: &Program, args: &[&str], limits: Limits) -> (Container, Arc<Printed>) {
        let output = Arc::new(Printed::default());
        let mut config = config(output.clone());
        config.args = args.iter().map(|arg| (*arg).to_owned()).collect();
        config.limits = limits;
        (self.engine.start(program, config).unwrap(), output)
    }
}

/// The folder of the built samples: `CAROB_SAMPLES_DIR`, or those of the repository.
pub(crate) fn samples() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/dist");
    std::env::var_os("CAROB_SAMPLES_DIR").map_or(built, PathBuf::from)
}

pub(crate) fn digest(wasm: &[u8]) -> String {
    use sha2::Digest;
    let hex: String = sha2::Sha256::digest(wasm).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

pub(crate) fn config(output: Arc<Printed>) -> ContainerConfig {
    ContainerConfig {
        name: "test".into(),
        args: vec!["test".into()],
        env: vec![],
        mounts: [].into(),
        working_dir: None,
        limits: Limits::default(),
        memory_group: None,
        output,
        network: Arc::new(Unplugged),
        input: Input::default(),
        terminal: false,
        http_reuse: false,
        capabilities: Arc::default(),
        composition: Composition::default(),
    }
}

/// How the container ended; it fails the test if that takes far too long.
pub(crate) async fn ended(container: &Container) -> Exit {
    tokio::time::timeout(Duration::from_secs(60), container.exited()).await.expect("the container goes on")
}

/// Everything that a container printed, both streams.
#[derive(Default)]
pub(crate) struct Printed(Mutex<Vec<(Stream, u8)>>);

impl Output for Printed {
    fn write(&self, stream: Stream, bytes: &[u8]) {
        self.0.lock().unwrap().extend(bytes.iter().map(|byte| (stream, *byte)));
    }
}

impl Printed {
    pub(crate) fn text(&self) -> String {
        self.of(|_| true)
    }

    pub(crate) fn stderr(&self) -> String {
        self.of(|stream| stream == Stream::Stderr)
    }

    fn of(&self, wanted: impl Fn(Stream) -> bool) -> String {
        let bytes = self.0.lock().unwrap();
        String::from_utf8_lossy(&bytes.iter().filter(|(s, _)| wanted(*s)).map(|(_, b)| *b).collect::<Vec<u8>>()).into()
    }

    /// Waits until `text` was printed.
    pub(crate) async fn contains(&self, text: &str) {
        let printed = wait_for(|| self.text().contains(text)).await;
        assert!(printed, "{text:?} was never printed, but {:?}", self.text());
    }
}

/// Waits until a condition holds, but not for ever.
#[track_caller]
pub(crate) fn eventually(condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    let asked = std::panic::Location::caller();
    async move { assert!(wait_for(condition).await, "what is waited for at {asked} has never come") }
}

/// Whether the condition came to hold within far more time than anything takes.
async fn wait_for(condition: impl Fn() -> bool) -> bool {
    for _ in 0..12_000 {
        if condition() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    false
}

pub(crate) fn get(path: &str) -> Request<Body> {
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    Request::get(format!("http://test{path}")).body(body).unwrap()
}

pub(crate) async fn call(service: &Arc<dyn HttpService>, request: Request<Body>) -> Result<Response<Body>, Refused> {
    let answer = tokio::time::timeout(Duration::from_secs(60), service.call(request)).await;
    answer.expect("no answer").map_err(|(refused, _)| refused)
}

/// The status and text of an answer.
pub(crate) async fn read(response: Response<Body>) -> (u16, String) {
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&bytes).into())
}

/// A 0.2 HTTP handler whose `handle` does `instructions` and, if that ends, returns without a response.
pub(crate) fn handler(pages: u32, instructions: &str) -> String {
    format!(
        r#"(component
            (import "wasi:http/types@0.2.0" (instance $types
                (export "incoming-request" (type (sub resource)))
                (export "response-outparam" (type (sub resource)))))
            (alias export $types "incoming-request" (type $request))
            (alias export $types "response-outparam" (type $outparam))
            (core module $module
                (memory {pages})
                (func (export "handle") (param i32 i32) {instructions}))
            (core instance $core (instantiate $module))
            (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))
                (canon lift (core func $core "handle")))
            (instance $handler (export "handle" (func $handle)))
            (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))"#
    )
}

/// A command whose `run` does `instructions`, which leave 0 (ok) or 1 (error) on the stack.
pub(crate) fn command(pages: u32, instructions: &str) -> String {
    format!(
        r#"(component
            (core module $module
                (memory {pages})
                (func (export "run") (result i32) {instructions}))
            (core instance $core (instantiate $module))
            (func $run (result (result)) (canon lift (core func $core "run")))
            (instance $cli (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $cli)))"#
    )
}

pub(crate) const SPIN: &str = "(loop $again (br $again)) unreachable";
