use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Linker;

use crate::cache::Cache;
use crate::compile::{CompileError, Compiler};
use crate::container::{Container, ContainerConfig, StartError};
use crate::cpu::Turns;
use crate::files::NodeFiles;
use crate::guests::{self, Guests};
use crate::host::Host;
use crate::memory::Memory;
use crate::outgoing::Tls;
use crate::pool::Pool;
use crate::program::Program;
use crate::ticker::Ticker;
use crate::{imports, pool};

/// How an [`Engine`] is set up; [`EngineConfig::new`] gives what suits the machine.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Where compiled programs are kept. Whoever can write here runs code in this process.
    pub cache_dir: PathBuf,
    /// Threads that guests run on; the number of processors when `None`.
    pub threads: Option<usize>,
    /// Bytes that all guests together may hold; four fifths of the machine's memory when `None`.
    pub memory: Option<u64>,
    /// Instances that may live at once; as many as the machine's memory maps and memory allow when `None`.
    pub instances: Option<u32>,
    /// Whether instances come from a pool of slots reserved in advance. Without it each instance maps its own memory,
    /// which also happens by itself where the address space is too small for a pool.
    pub pooling: bool,
    /// Files that the instances of one container may hold open together.
    pub open_files: usize,
    /// Programs that may run inside one container at once, beside its own.
    pub execs: usize,
    /// The bounds of each container that serves HTTP.
    pub http: HttpLimits,
}

impl EngineConfig {
    /// The defaults of this machine, with compiled programs kept in `cache_dir`.
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        EngineConfig {
            cache_dir: cache_dir.into(),
            threads: None,
            memory: None,
            instances: None,
            pooling: true,
            open_files: 1024,
            execs: 32,
            http: HttpLimits::default(),
        }
    }
}

/// What one container that serves HTTP may hold and how long things may take.
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// Requests that wait for an instance; one more is refused.
    pub queue: usize,
    /// How long a request waits for an instance before it is refused.
    pub queue_wait: Duration,
    /// How long a handler may take until the head of its response.
    pub response: Duration,
    /// How long a handler may go on after its response was read to the end.
    pub after_response: Duration,
    /// Live instances.
    pub instances: usize,
    /// Requests that one 0.3 instance answers at the same time.
    pub concurrency: usize,
    /// Requests that one reused instance answers before a fresh one takes its place.
    pub reuse: usize,
    /// How long an instance that could be reused is kept without a request.
    pub idle: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        HttpLimits {
            queue: 1024,
            queue_wait: Duration::from_secs(10),
            response: Duration::from_secs(60),
            after_response: Duration::from_secs(30),
            instances: 256,
            concurrency: 16,
            reuse: 1024,
            idle: Duration::from_secs(1),
        }
    }
}

/// Why an engine could not be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The folder of compiled programs cannot be used.
    #[error("cannot use {path} as the folder of compiled programs")]
    Cache {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No threads for guests.
    #[error("cannot start the threads that guests run on")]
    Threads(#[source] std::io::Error),
    /// wasmtime does not run here.
    #[error("cannot set up wasmtime: {0}")]
    Wasmtime(String),
}

/// Compiles components and runs containers of them. Cloning is cheap and shares everything; when the last clone and the
/// last [`Container`] are gone, the threads end.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) wasmtime: wasmtime::Engine,
    pub(crate) linker: Linker<Host>,
    pub(crate) pool: Pool,
    pub(crate) memory: Arc<Memory>,
    pub(crate) turns: Arc<Turns>,
    pub(crate) ticker: Arc<Ticker>,
    pub(crate) guests: Guests,
    pub(crate) execs: usize,
    pub(crate) http: HttpLimits,
    pub(crate) files: Arc<NodeFiles>,
    /// What each container may hold open of them.
    pub(crate) open_files: usize,
    pub(crate) tls: Arc<Tls>,
    compiler: Compiler,
}

impl Engine {
    /// Reserves the pool, starts the threads that guests run on and opens the cache.
    ///
    /// # Errors
    /// The cache folder cannot be made, threads cannot be started, or wasmtime does not support this machine.
    pub fn new(config: EngineConfig) -> Result<Engine, EngineError> {
        let (wasmtime, pool) = pool::wasmtime_engine(&config)?;
        let cache = Cache::open(&config.cache_dir, &wasmtime)
            .map_err(|source| EngineError::Cache { path: config.cache_dir.clone(), source })?;
        let linker = imports::linker(&wasmtime).map_err(|e| EngineError::Wasmtime(format!("{e:#}")))?;
        let threads = config.threads.unwrap_or_else(guests::default_threads).max(1);
        let turns = Arc::new(Turns::new(threads));
        let ticker = Ticker::start(wasmtime.clone(), turns.clone()).map_err(EngineError::Threads)?;
        let guests = Guests::start(threads).map_err(EngineError::Threads)?;
        let memory = Memory::of_node(config.memory.unwrap_or_else(pool::guest_memory));
        let files = NodeFiles::new(pool::guest_files());
        let open_files = config.open_files;
        let compiler = Compiler::new(wasmtime.clone(), cache);
        let (execs, http, tls) = (config.execs, config.http, Arc::default());
        let inner = Inner {
            wasmtime,
            linker,
            pool,
            memory,
            turns,
            ticker,
            guests,
            http,
            files,
            open_files,
            execs,
            tls,
            compiler,
        };
        Ok(Engine { inner: Arc::new(inner) })
    }

    /// The program of a component or WASI 0.1 core module, compiled at most once per digest and kept on disk.
    ///
    /// `digest` names the bytes of `wasm` (`sha256:...`); the caller has checked that it does.
    ///
    /// # Errors
    /// The bytes are not a component or module, or export nothing that can be run.
    pub async fn compile(&self, digest: &str, wasm: &[u8]) -> Result<Program, CompileError> {
        self.inner.compiler.compile(digest, wasm).await
    }

    /// Starts a container: a command begins to run, an HTTP handler begins to take requests.
    ///
    /// # Errors
    /// An import of the program is not provided here.
    pub fn start(&self, program: &Program, config: ContainerConfig) -> Result<Container, StartError> {
        Container::start(self.inner.clone(), program, config)
    }

    /// wasmtime with the settings and the pool of this engine, for measuring what the engine adds to it.
    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner.wasmtime
    }
}
