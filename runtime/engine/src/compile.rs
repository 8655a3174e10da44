use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::thread;

use parking_lot::Mutex;
use wasmtime::Engine;

use crate::cache::{self, Cache};
use crate::program::{Compiled, Program};
use crate::wrap;

/// Why some bytes are not a program.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CompileError {
    /// Neither a component nor a core module.
    #[error("not WebAssembly: a component or module begins with 00 61 73 6d, this with {begins:02x?}")]
    NotWasm {
        /// The first bytes, at most eight.
        begins: Vec<u8>,
    },
    /// A core module that is no WASI 0.1 command.
    #[error("this core module cannot run as a WASI 0.1 command: {0}")]
    Module(String),
    /// wasmtime does not accept the component.
    #[error("the component is not valid: {0}")]
    Invalid(String),
    /// No export that this engine knows how to call.
    #[error(
        "the component exports nothing that can be run: expected wasi:cli/run, wasi:http/incoming-handler@0.2, \
         wasi:http/handler@0.3 or an interface for its siblings, found {}", list(.exports)
    )]
    NothingToRun {
        /// The names of its exports.
        exports: Vec<String>,
    },
    /// The compiler itself failed.
    #[error("the compiler ended without a result")]
    Failed,
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "no exports".into() } else { names.join(", ") }
}

/// Programs by digest: from memory, from the disk, or compiled now; each by one task at a time.
pub(crate) struct Compiler {
    shared: Arc<Shared>,
    by_digest: Mutex<HashMap<String, Arc<Slot>>>,
}

struct Shared {
    engine: Engine,
    cache: Cache,
    /// One compilation takes all processors already.
    turn: Mutex<()>,
}

/// The program of one digest while somebody runs it; locked while it is loaded.
#[derive(Default)]
struct Slot(tokio::sync::Mutex<Weak<Compiled>>);

impl Compiler {
    pub(crate) fn new(engine: Engine, cache: Cache) -> Self {
        Compiler { shared: Arc::new(Shared { engine, cache, turn: Mutex::new(()) }), by_digest: Mutex::default() }
    }

    pub(crate) async fn compile(&self, digest: &str, wasm: &[u8]) -> Result<Program, CompileError> {
        let slot = self.slot(digest);
        let mut loaded = slot.0.lock().await;
        if let Some(inner) = loaded.upgrade() {
            return Ok(Program { inner });
        }
        let (shared, digest, wasm) = (self.shared.clone(), digest.to_owned(), wasm.to_vec());
        let compiled = in_background(move || shared.load_or_compile(&digest, &wasm)).await;
        let inner = Arc::new(compiled.unwrap_or(Err(CompileError::Failed))?);
        *loaded = Arc::downgrade(&inner);
        Ok(Program { inner })
    }

    fn slot(&self, digest: &str) -> Arc<Slot> {
        let mut slots = self.by_digest.lock();
        // Programs that nobody runs or loads any more.
        slots.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.0.try_lock().is_ok_and(|it| it.strong_count() > 0));
        slots.entry(digest.to_owned()).or_default().clone()
    }
}

impl Shared {
    fn load_or_compile(&self, digest: &str, wasm: &[u8]) -> Result<Compiled, CompileError> {
        if let Some(component) = self.cache.load(&self.engine, digest) {
            return Compiled::new(component);
        }
        let component = wrap::component(wasm)?;
        let compiled = {
            let _turn = self.turn.lock();
            self.engine.precompile_component(&component).map_err(|e| CompileError::Invalid(format!("{e:#}")))?
        };
        if let Err(error) = self.cache.store(digest, &compiled) {
            tracing::warn!(digest, %error, "a compiled program is not kept, and will be compiled again");
        }
        let component = match self.cache.load(&self.engine, digest) {
            Some(component) => component,
            None => cache::in_memory(&self.engine, &compiled).map_err(|e| CompileError::Invalid(format!("{e:#}")))?,
        };
        Compiled::new(component)
    }
}

/// How much nicer than the rest of the node the threads are that compile.
const NICE: i32 = 5;

/// Runs `work` on a thread of its own, at a lower priority, which threads that it starts inherit; `None` if it panics.
async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let thread = thread::Builder::new().name("compile".into()).spawn(move || {
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::warn!(%error, "programs are compiled at the same priority as the node");
        }
        // Whoever asked may have gone.
        let _ = sender.send(work());
    });
    if let Err(error) = thread {
        tracing::error!(%error, "there is no thread to compile on");
    }
    receiver.await.ok()
}
