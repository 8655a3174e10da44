use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use carob_net::{HttpService, Network};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::capabilities::{Capabilities, Capability};
use crate::command::Command;
use crate::composition::{self, Bound, Composition, Library, LinkError, Offer};
use crate::cpu::{Cpu, Meter};
use crate::engine::Inner;
use crate::exec::{Exec, ExecConfig, ExecError};
use crate::files::{Mount, OpenFiles};
use crate::http::Dispatcher;
use crate::input::Input;
use crate::memory::{BelowUse, Memory};
use crate::memory_group::MemoryGroup;
use crate::outgoing::Outgoing;
use crate::output::Output;
use crate::program::{Compiled, Kind, Program};

/// What a container is given.
#[derive(Clone)]
pub struct ContainerConfig {
    /// A name for logs.
    pub name: String,
    /// What the guest sees as its arguments; the first is its own name by custom.
    pub args: Vec<String>,
    /// The guest's environment.
    pub env: Vec<(String, String)>,
    /// The files that it sees; where one lies below another, the deeper one counts.
    pub mounts: Arc<[Mount]>,
    /// Where relative paths begin, for guests that ask; `/` if `None`.
    pub working_dir: Option<String>,
    /// What it may use.
    pub limits: Limits,
    /// With whom it shares another memory limit, if it does.
    pub memory_group: Option<MemoryGroup>,
    /// What a command reads; each instance of a server reads from the same.
    pub input: Input,
    /// Whether it is told that input and output are a terminal.
    pub terminal: bool,
    /// Takes what it prints.
    pub output: Arc<dyn Output>,
    /// All that it reaches: sockets, names and outgoing requests; [`carob_net::Unplugged`] for none.
    pub network: Arc<dyn Network>,
    /// Lets a 0.2 HTTP handler answer one request after another with one instance, which keeps its memory between them.
    pub http_reuse: bool,
    /// What it may use beside all that.
    pub capabilities: Arc<Capabilities>,
    /// How it is linked to its siblings.
    pub composition: Composition,
}

/// What all instances of a container together may use; no limit where `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memories and tables, and of what the host holds for resources of WASI beyond what every instance has.
    pub memory: Option<u64>,
    /// Thousandths of a core.
    pub cpu_millis: Option<u32>,
    /// Its share of the processors, beside those of others, while more want to run than can. As with Kubernetes' requests
    /// this is in thousandths of a core. Containers that have none share the least weight, 2, between all of them.
    pub cpu_weight: u32,
}

/// What a container used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of the threads while they ran it.
    pub cpu: Duration,
    /// Bytes held now of what [`Limits::memory`] bounds.
    pub memory_bytes: u64,
    /// The most of them that were held at once.
    pub memory_peak_bytes: u64,
    /// HTTP requests that were taken.
    pub requests: u64,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit code, as Kubernetes shows it: 134 for a trap, 137 for an end by force.
    pub code: i32,
    /// Why, in Kubernetes' words.
    pub reason: Reason,
    /// What there is to say about it; empty if nothing.
    pub message: String,
}

/// Why a container ended; `Display` gives Kubernetes' word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// With code 0.
    Completed,
    /// With another code, by a trap or by force.
    Error,
    /// It asked for more memory than its limit.
    OomKilled,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Reason::Completed => "Completed",
            Reason::Error => "Error",
            Reason::OomKilled => "OOMKilled",
        })
    }
}

impl Exit {
    pub(crate) fn with_code(code: i32) -> Exit {
        let reason = if code == 0 { Reason::Completed } else { Reason::Error };
        Exit { code, reason, message: String::new() }
    }

    pub(crate) fn by_trap(message: String) -> Exit {
        Exit { code: 134, reason: Reason::Error, message }
    }

    pub(crate) fn by_force(message: &str) -> Exit {
        Exit { code: 137, reason: Reason::Error, message: message.into() }
    }

    pub(crate) fn out_of_memory(message: String) -> Exit {
        Exit { code: 137, reason: Reason::OomKilled, message }
    }
}

/// Why a container was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The program imports what is not provided here.
    #[error("{message}")]
    Import {
        /// The linker's own message, which names the import.
        message: String,
    },
    /// The program imports an interface that is provided here, but that nothing grants to the container.
    #[error("the component imports {import}, which this container is not granted")]
    NotGranted {
        /// The import's name.
        import: String,
        /// What would have to be granted.
        capability: Capability,
    },
    /// An import that a sibling should meet is not met.
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// Why a container goes on with the limits that it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResizeError {
    /// It holds more memory than it would be allowed to.
    #[error("attempting to set the memory limit ({limit}) below the current usage ({held})")]
    BelowUse {
        /// Bytes that it holds.
        held: u64,
        /// Bytes that were to be its limit.
        limit: u64,
    },
}

/// A started container. Dropping the last clone kills it.
#[derive(Clone)]
pub struct Container {
    owner: Arc<Owner>,
}

/// Ends the container when nobody holds it any more; what runs inside holds only the state.
struct Owner {
    state: Arc<State>,
    http: Option<Arc<Dispatcher>>,
    offer: Option<Offer>,
    kind: Kind,
}

/// What the instances of a container share.
pub(crate) struct State {
    pub(crate) engine: Arc<Inner>,
    pub(crate) config: ContainerConfig,
    pub(crate) cpu: Arc<Cpu>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) files: Arc<OpenFiles>,
    pub(crate) requests: AtomicU64,
    /// Where its own imports lead, in the program's order.
    links: Arc<[Bound]>,
    /// One place for each program that may run beside the container's own.
    pub(crate) execs: Arc<Semaphore>,
    pub(crate) outgoing: Outgoing,
    /// Ends every instance at its next tick or wait.
    pub(crate) killed: CancellationToken,
    exit: watch::Sender<Option<Exit>>,
    at_end: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// What a program has of its own; all else belongs to its container.
pub(crate) struct Process<'a> {
    pub(crate) args: &'a [String],
    pub(crate) env: &'a [(String, String)],
    pub(crate) input: &'a Input,
    pub(crate) output: &'a Arc<dyn Output>,
    pub(crate) terminal: bool,
    /// Where its own imports lead.
    pub(crate) links: &'a Arc<[Bound]>,
}

impl ContainerConfig {
    /// Whether what the program imports is granted here, and where its own imports lead.
    pub(crate) fn admit(&self, program: &Arc<Compiled>) -> Result<Arc<[Bound]>, StartError> {
        match self.capabilities.lacking(&program.imports) {
            Some((import, capability)) => Err(StartError::NotGranted { import: import.to_owned(), capability }),
            None => Ok(composition::bind(program, &self.composition.links)?),
        }
    }
}

impl State {
    /// The container's own program.
    pub(crate) fn main(&self) -> Process<'_> {
        let config = &self.config;
        Process {
            args: &config.args,
            env: &config.env,
            input: &config.input,
            output: &config.output,
            terminal: config.terminal,
            links: &self.links,
        }
    }

    /// Has `then` called when the container ends; for the one part that must know.
    pub(crate) fn at_end(&self, then: impl Fn() + Send + Sync + 'static) {
        // Only the dispatcher of a server asks for it, once.
        let _ = self.at_end.set(Box::new(then));
    }

    /// What there is to say about its end, if it has ended.
    pub(crate) fn ended(&self) -> Option<String> {
        let exit = self.exit.borrow();
        exit.as_ref().map(|exit| if exit.message.is_empty() { exit.reason.to_string() } else { exit.message.clone() })
    }

    /// Ends the container, once: what comes first counts.
    pub(crate) fn end(&self, exit: Exit) {
        let first = self.exit.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert_with(|| exit.clone());
            first
        });
        if first {
            tracing::debug!(container = self.config.name, code = exit.code, reason = %exit.reason, "ended: {}", exit.message);
        }
        self.killed.cancel();
        if let Some(then) = self.at_end.get() {
            then();
        }
    }
}

impl Container {
    pub(crate) fn start(
        engine: Arc<Inner>,
        program: &Program,
        config: ContainerConfig,
    ) -> Result<Container, StartError> {
        let links = config.admit(&program.inner)?;
        let cpu = Arc::new(Cpu::new(&engine.turns, config.limits.cpu_weight, config.limits.cpu_millis));
        let meter = Meter::new(&cpu, &engine.ticker);
        let state = Arc::new(State {
            cpu,
            memory: Memory::of_container(config.limits.memory, config.memory_group.clone(), &engine.memory),
            files: OpenFiles::of_container(engine.open_files, &engine.files),
            requests: AtomicU64::new(0),
            links,
            execs: Arc::new(Semaphore::new(engine.execs)),
            outgoing: Outgoing::new(config.network.clone(), engine.tls.clone(), meter),
            killed: CancellationToken::new(),
            exit: watch::Sender::new(None),
            at_end: OnceLock::new(),
            config,
            engine,
        });
        let http = match program.kind() {
            Kind::Command => {
                let command = Command::new(&state, program)?;
                state.engine.guests.handle().spawn(run(command, state.clone()));
                None
            }
            Kind::HttpP2 | Kind::HttpP3 => Some(Dispatcher::new(state.clone(), program)?),
            Kind::Library => None,
        };
        let library = Library::new(&state, program)?;
        let offer = library.as_ref().map(Library::offer);
        if let Some(library) = library {
            state.engine.guests.handle().spawn(library.run(state.clone()));
        }
        Ok(Container { owner: Arc::new(Owner { state, http, offer, kind: program.kind() }) })
    }

    /// Ends when the container has, with how; at once if it already has.
    pub fn exited(&self) -> impl Future<Output = Exit> + Send + use<> {
        let mut exit = self.owner.state.exit.subscribe();
        async move {
            match exit.wait_for(Option::is_some).await.map(|ended| ended.clone()) {
                Ok(Some(exit)) => exit,
                // The container was dropped, and with it killed.
                _ => Exit::by_force("killed"),
            }
        }
    }

    /// Asks the container to end within `grace`.
    ///
    /// A server or library takes no new request or call, answers those it has and ends with 0. WASI has no signals: a
    /// command goes on until it ends by itself. What is left after `grace` is killed.
    pub fn terminate(&self, grace: Duration) {
        let (state, http, offer) = (self.owner.state.clone(), self.owner.http.clone(), self.owner.offer.clone());
        let kind = self.owner.kind;
        if let Some(http) = &http {
            http.close();
        }
        let guests = self.owner.state.engine.guests.handle();
        guests.spawn(async move {
            let drained = async {
                if kind == Kind::Command {
                    std::future::pending().await
                }
                if let Some(http) = &http {
                    http.drained().await;
                }
                if let Some(offer) = &offer {
                    offer.drained().await;
                }
            };
            tokio::select! {
                () = state.killed.cancelled() => {}
                () = drained => state.end(Exit::with_code(0)),
                () = tokio::time::sleep(grace) => state.end(Exit::by_force("killed: it did not end within the grace period")),
            }
        });
    }

    /// Ends when no other container is linked to this one; at once if none ever was.
    pub fn unused(&self) -> impl Future<Output = ()> + Send + use<> {
        let offer = self.owner.offer.clone();
        async move {
            if let Some(offer) = offer {
                offer.unused().await;
            }
        }
    }

    /// Ends the container now, with 137.
    pub fn kill(&self) {
        self.owner.state.end(Exit::by_force("killed"));
    }

    /// What answers requests, if this is a server. Once the container has ended it refuses them.
    pub fn http(&self) -> Option<Arc<dyn HttpService>> {
        let http: Arc<dyn HttpService> = self.owner.http.clone()?;
        Some(http)
    }

    /// Runs another program inside the container, beside its own: with the same files and network, within the same limits.
    /// It ends with the container at the latest.
    ///
    /// # Errors
    /// The container has ended or runs as many programs as it may, or the program cannot be run.
    pub fn exec(&self, program: &Program, config: ExecConfig) -> Result<Exec, ExecError> {
        Exec::start(&self.owner.state, program, config)
    }

    /// Gives the running container other limits: the memory limit holds for the next growth, the others from the next tick.
    ///
    /// # Errors
    /// [`ResizeError::BelowUse`]; then nothing was changed.
    pub fn resize(&self, limits: Limits) -> Result<(), ResizeError> {
        let state = &self.owner.state;
        let below = |BelowUse { held }| ResizeError::BelowUse { held, limit: limits.memory.unwrap_or(u64::MAX) };
        state.memory.resize(limits.memory).map_err(below)?;
        state.cpu.resize(limits.cpu_weight, limits.cpu_millis);
        Ok(())
    }

    /// What the container used so far.
    pub fn usage(&self) -> Usage {
        let state = &self.owner.state;
        Usage {
            cpu: state.cpu.used(),
            memory_bytes: state.memory.used(),
            memory_peak_bytes: state.memory.peak(),
            requests: state.requests.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.state.end(Exit::by_force("killed"));
    }
}

/// A command's end is the container's.
async fn run(command: Command, state: Arc<State>) {
    let exit = command.run(&state, &state.main(), &state.killed).await;
    state.end(exit);
}

impl From<wasmtime::Error> for StartError {
    fn from(error: wasmtime::Error) -> Self {
        StartError::Import { message: format!("{error:#}") }
    }
}
