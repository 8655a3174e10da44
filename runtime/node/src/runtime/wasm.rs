//! Runs WebAssembly containers, on the engine.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use carob_engine::{Capability, Composition, ContainerConfig, Engine, ExecConfig, Interfaces, Link, Reason};
use carob_net::HttpService;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::programs::Programs;
use super::{
    Container, ContainerSpec, ExecError, ExecSpec, Exit, Limits, Links, Output, Process, Runtime, StartError, Stream,
    Usage,
};
use crate::images::Image;
use crate::pods::KEYVALUE;

/// The engine, and the programs it has compiled.
pub(crate) struct WasmRuntime {
    engine: Engine,
    programs: Programs,
}

impl WasmRuntime {
    pub(crate) fn new(engine: Engine) -> WasmRuntime {
        WasmRuntime { programs: Programs::new(engine.clone()), engine }
    }
}

impl Runtime for WasmRuntime {
    fn start(&self, image: Image, spec: ContainerSpec) -> BoxFuture<'static, Result<Arc<dyn Container>, StartError>> {
        let (engine, programs) = (self.engine.clone(), self.programs.clone());
        async move {
            let program = programs.of_image(&image).await?;
            let (name, env, mut spec) = (spec.name.clone(), spec.env.clone(), spec);
            let composition = composition(&programs, std::mem::take(&mut spec.links)).await?;
            let started = engine.start(&program, config(spec, composition));
            let container = started.map_err(|error| StartError(told(&name, error)))?;
            Ok(Arc::new(WasmContainer { container, image, env: env.into(), programs }) as Arc<dyn Container>)
        }
        .boxed()
    }

    fn interfaces(&self, image: Image) -> BoxFuture<'static, Result<Interfaces, StartError>> {
        let programs = self.programs.clone();
        async move { Ok(programs.of_image(&image).await?.interfaces()) }.boxed()
    }
}

/// Why the container does not start, and what to declare so that it does.
fn told(container: &str, error: carob_engine::StartError) -> String {
    match error {
        carob_engine::StartError::NotGranted { capability: Capability::KeyValue, .. } => format!(
            "{error}: declare the buckets that it may open in an annotation of the Pod, for instance {KEYVALUE}{container}: \
             NAME"
        ),
        error => error.to_string(),
    }
}

async fn composition(programs: &Programs, links: Links) -> Result<Composition, StartError> {
    let mut found = Vec::with_capacity(links.imports.len());
    for link in links.imports {
        let program = programs.of_image(&link.image).await?;
        found.push(Link { import: link.import, export: link.export, program, peer: link.peer });
    }
    Ok(Composition { links: found, peer: links.peer })
}

fn config(spec: ContainerSpec, composition: Composition) -> ContainerConfig {
    ContainerConfig {
        name: spec.name,
        args: spec.args,
        env: spec.env,
        mounts: spec.mounts.into(),
        working_dir: spec.working_dir,
        input: spec.input,
        terminal: spec.terminal,
        limits: limits(spec.limits),
        memory_group: spec.memory_group,
        output: Arc::new(Printed(spec.output)),
        network: spec.network,
        http_reuse: spec.http_reuse,
        capabilities: spec.capabilities,
        composition,
    }
}

fn limits(limits: Limits) -> carob_engine::Limits {
    let Limits { memory, cpu_millis, cpu_weight } = limits;
    carob_engine::Limits { memory, cpu_millis, cpu_weight }
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

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_ready(cx)
    }
}

struct WasmContainer {
    container: carob_engine::Container,
    image: Image,
    env: Arc<[(String, String)]>,
    programs: Programs,
}

impl Container for WasmContainer {
    fn exited(&self) -> BoxFuture<'static, Exit> {
        self.container.exited().map(exit).boxed()
    }

    fn terminate(&self, grace: Duration) {
        if grace.is_zero() { self.container.kill() } else { self.container.terminate(grace) }
    }

    fn unused(&self) -> BoxFuture<'static, ()> {
        self.container.unused().boxed()
    }

    fn http(&self) -> Option<Arc<dyn HttpService>> {
        self.container.http()
    }

    fn exec(&self, spec: ExecSpec) -> BoxFuture<'static, Result<Box<dyn Process>, ExecError>> {
        let (container, programs) = (self.container.clone(), self.programs.clone());
        let (image, env) = (self.image.clone(), self.env.clone());
        async move {
            let name = spec.command.first().cloned().unwrap_or_default();
            let program = programs.inside(&image, &name).await?;
            let config = ExecConfig {
                args: spec.command,
                env: env.iter().cloned().chain(spec.env).collect(),
                input: spec.input,
                output: Arc::new(Printed(spec.output)),
                terminal: spec.terminal,
            };
            let exec = container.exec(&program, config).map_err(|error| refusal(name, &error))?;
            Ok(Box::new(WasmProcess(exec)) as Box<dyn Process>)
        }
        .boxed()
    }

    fn resize(&self, wanted: Limits) -> Result<(), String> {
        self.container.resize(limits(wanted)).map_err(|error| error.to_string())
    }

    fn usage(&self) -> Usage {
        let carob_engine::Usage { cpu, memory_bytes, memory_peak_bytes, requests } = self.container.usage();
        Usage { cpu, memory_bytes, memory_peak_bytes, requests }
    }
}

fn refusal(name: String, error: &carob_engine::ExecError) -> ExecError {
    use carob_engine::ExecError::{Ended, NotACommand, Start, TooMany};
    match error {
        NotACommand | Start(_) => ExecError::NotExecutable { name, reason: error.to_string() },
        Ended | TooMany { .. } => ExecError::Refused(error.to_string()),
    }
}

struct WasmProcess(carob_engine::Exec);

impl Process for WasmProcess {
    fn exited(&self) -> BoxFuture<'static, Exit> {
        self.0.exited().map(exit).boxed()
    }
}

fn exit(exit: carob_engine::Exit) -> Exit {
    Exit {
        code: exit.code,
        oom_killed: exit.reason == Reason::OomKilled,
        message: Some(exit.message).filter(|message| !message.is_empty()),
    }
}
