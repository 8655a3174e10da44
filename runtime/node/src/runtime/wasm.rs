//! Runs WebAssembly containers, on the engine.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use carob_engine::{ContainerConfig, Engine, Limits, Program, Reason};
use carob_net::HttpService;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::{Container, ContainerSpec, Exit, Output, Runtime, StartError, Stream, Usage};
use crate::images::Image;

/// The engine, and the programs it has compiled: a Deployment's thousandth Pod neither reads nor compiles its image again.
pub(crate) struct WasmRuntime {
    engine: Engine,
    programs: Arc<Mutex<HashMap<String, Program>>>,
}

impl WasmRuntime {
    pub(crate) fn new(engine: Engine) -> WasmRuntime {
        WasmRuntime { engine, programs: Arc::default() }
    }
}

impl Runtime for WasmRuntime {
    fn start(&self, image: Image, spec: ContainerSpec) -> BoxFuture<'static, Result<Arc<dyn Container>, StartError>> {
        let (engine, programs) = (self.engine.clone(), self.programs.clone());
        async move {
            let program = program(&engine, &programs, image).await?;
            let container = engine.start(&program, config(spec)).map_err(|error| StartError(error.to_string()))?;
            Ok(Arc::new(WasmContainer(container)) as Arc<dyn Container>)
        }
        .boxed()
    }
}

async fn program(
    engine: &Engine,
    programs: &Mutex<HashMap<String, Program>>,
    image: Image,
) -> Result<Program, StartError> {
    let known = programs.lock().get(&image.digest).cloned();
    if let Some(program) = known {
        return Ok(program);
    }
    let digest = image.digest.clone();
    let unreadable = |error: String| StartError(format!("cannot read image {digest}: {error}"));
    let bytes = tokio::task::spawn_blocking(move || image.program()).await;
    let bytes = bytes.map_err(|error| unreadable(error.to_string()))?.map_err(|error| unreadable(error.to_string()))?;
    let program = engine.compile(&digest, &bytes).await.map_err(|error| StartError(error.to_string()))?;
    programs.lock().insert(digest, program.clone());
    Ok(program)
}

fn config(spec: ContainerSpec) -> ContainerConfig {
    ContainerConfig {
        name: spec.name,
        args: spec.args,
        env: spec.env,
        mounts: spec.mounts.into(),
        working_dir: spec.working_dir,
        limits: Limits { memory: spec.memory, cpu_millis: spec.cpu_millis },
        output: Arc::new(Printed(spec.output)),
        network: spec.network,
        http_reuse: spec.http_reuse,
    }
}

/// What the engine prints to, in the engine's words.
struct Printed(Arc<dyn Output>);

impl carob_engine::Output for Printed {
    fn write(&self, stream: carob_engine::Stream, bytes: &[u8]) {
        let stream = match stream {
            carob_engine::Stream::Stdout => Stream::Stdout,
            carob_engine::Stream::Stderr => Stream::Stderr,
        };
        self.0.write(stream, bytes);
    }
}

struct WasmContainer(carob_engine::Container);

impl Container for WasmContainer {
    fn exited(&self) -> BoxFuture<'static, Exit> {
        let exited = self.0.exited();
        async move {
            let exit = exited.await;
            Exit {
                code: exit.code,
                oom_killed: exit.reason == Reason::OomKilled,
                message: Some(exit.message).filter(|message| !message.is_empty()),
            }
        }
        .boxed()
    }

    fn terminate(&self, grace: Duration) {
        if grace.is_zero() { self.0.kill() } else { self.0.terminate(grace) }
    }

    fn http(&self) -> Option<Arc<dyn HttpService>> {
        self.0.http()
    }

    fn usage(&self) -> Usage {
        let usage = self.0.usage();
        Usage { cpu: usage.cpu, memory_bytes: usage.memory_bytes, requests: usage.requests }
    }
}
