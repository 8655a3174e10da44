//! What the node asks of whatever runs its containers.
//!
//! The node knows images, arguments, limits and exits; what an instance or a store is stays behind this trait. The
//! engine is one implementation; a test double is another.

#[cfg(test)]
pub(crate) mod fake;
mod programs;
mod wasm;

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use carob_engine::{Capabilities, Interfaces, MemoryGroup, Mount, Peer};
use carob_net::{HttpService, Network};
use futures::future::BoxFuture;

use crate::images::Image;
pub(crate) use carob_engine::Input;
pub(crate) use wasm::WasmRuntime;

/// Runs containers.
pub(crate) trait Runtime: Send + Sync + 'static {
    /// Starts a container of `image`.
    fn start(&self, image: Image, spec: ContainerSpec) -> BoxFuture<'static, Result<Arc<dyn Container>, StartError>>;

    /// What a container of `image` needs of its siblings, and offers to them.
    fn interfaces(&self, image: Image) -> BoxFuture<'static, Result<Interfaces, StartError>>;
}

/// What a container is started with.
pub(crate) struct ContainerSpec {
    /// The container's name, for messages.
    pub(crate) name: String,
    /// All arguments, with the program's name in front.
    pub(crate) args: Vec<String>,
    /// The environment, in order.
    pub(crate) env: Vec<(String, String)>,
    /// The files that it sees.
    pub(crate) mounts: Vec<Mount>,
    /// Where its relative paths begin.
    pub(crate) working_dir: Option<String>,
    /// What all its instances may use together.
    pub(crate) limits: Limits,
    /// What it shares with the other containers of its Pod and their memory volumes, if there are any.
    pub(crate) memory_group: Option<MemoryGroup>,
    /// Whether one instance may answer several requests, one after the other.
    pub(crate) http_reuse: bool,
    /// The Pod's network.
    pub(crate) network: Arc<dyn Network>,
    /// What it reads.
    pub(crate) input: Input,
    /// Whether it is told that input and output are a terminal.
    pub(crate) terminal: bool,
    /// What it may use beside sockets and files.
    pub(crate) capabilities: Arc<Capabilities>,
    /// How it is linked to its siblings.
    pub(crate) links: Links,
    /// Takes what it prints.
    pub(crate) output: Arc<dyn Output>,
}

/// What a container may use; no limit where `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Most bytes of memory.
    pub(crate) memory: Option<u64>,
    /// Thousandths of a processor.
    pub(crate) cpu_millis: Option<u32>,
    /// Its share of the processors beside others, while there is not enough for all: what it requests, in thousandths. All
    /// that have none share the least weight.
    pub(crate) cpu_weight: u32,
}

/// How a container is linked to the others of its Pod.
#[derive(Default)]
pub(crate) struct Links {
    /// Where its imports lead.
    pub(crate) imports: Vec<SiblingLink>,
    /// Where others find what it exports.
    pub(crate) peer: Option<Arc<Peer>>,
}

/// An import that a sibling's export meets.
pub(crate) struct SiblingLink {
    pub(crate) import: String,
    pub(crate) export: String,
    /// What the sibling runs.
    pub(crate) image: Image,
    pub(crate) peer: Arc<Peer>,
}

/// Takes what a container prints. It is called on the guest's own thread, so a slow one slows the guest.
pub(crate) trait Output: Send + Sync + 'static {
    /// Takes some bytes, which may end anywhere in a line.
    fn write(&self, stream: Stream, bytes: &[u8]);

    /// Whether it takes more now. A guest that prints waits until it does; several may wait at once.
    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// Which of its two streams a container printed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A container that was started. Dropping the last handle kills it.
pub(crate) trait Container: Send + Sync + 'static {
    /// Waits until it has ended, and says how. It may be asked again.
    fn exited(&self) -> BoxFuture<'static, Exit>;

    /// Asks it to end, and ends it once `grace` is over. Asking again can only shorten the grace.
    fn terminate(&self, grace: Duration);

    /// Waits until no sibling is linked to it any more; at once if none ever was.
    fn unused(&self) -> BoxFuture<'static, ()>;

    /// What answers its HTTP requests, if it serves HTTP.
    fn http(&self) -> Option<Arc<dyn HttpService>>;

    /// Runs another program inside it, beside its own: with its files, network and environment, within its limits.
    fn exec(&self, spec: ExecSpec) -> BoxFuture<'static, Result<Box<dyn Process>, ExecError>>;

    /// Gives it other limits while it runs.
    ///
    /// # Errors
    /// It holds more than it would be allowed to, in words; then nothing was changed.
    fn resize(&self, limits: Limits) -> Result<(), String>;

    /// What it has used so far.
    fn usage(&self) -> Usage;
}

/// What is run inside a container, beside its own program.
pub(crate) struct ExecSpec {
    /// The program's name, and its arguments.
    pub(crate) command: Vec<String>,
    /// Environment beside the container's own.
    pub(crate) env: Vec<(String, String)>,
    /// What it reads.
    pub(crate) input: Input,
    /// Takes what it prints.
    pub(crate) output: Arc<dyn Output>,
    /// Whether it is told that input and output are a terminal.
    pub(crate) terminal: bool,
}

/// A program that runs inside a container. Dropping it kills the program.
pub(crate) trait Process: Send + Sync + 'static {
    /// Waits until it has ended, and says how. It may be asked again.
    fn exited(&self) -> BoxFuture<'static, Exit>;
}

/// Why a program was not run inside a container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExecError {
    /// No program goes by this name.
    #[error("exec: {name:?}: executable file not found: {offered}")]
    NotFound {
        /// What was asked for.
        name: String,
        /// What there is instead.
        offered: String,
    },
    /// It cannot be run as a program.
    #[error("exec: {name:?}: cannot be executed: {reason}")]
    NotExecutable {
        /// What was asked for.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// As many run as may, or the container has ended.
    #[error("{0}")]
    Refused(String),
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exit {
    /// Its exit code; 137 if it was killed.
    pub(crate) code: i32,
    /// Whether its memory limit ended it.
    pub(crate) oom_killed: bool,
    /// More words, if there are any.
    pub(crate) message: Option<String>,
}

/// What a container has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Processor time since its start.
    pub(crate) cpu: Duration,
    /// Memory that its instances hold now, in bytes.
    pub(crate) memory_bytes: u64,
    /// The most that they held at once.
    pub(crate) memory_peak_bytes: u64,
    /// Requests that it has been given.
    pub(crate) requests: u64,
}

/// Why a container could not be started.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct StartError(pub(crate) String);
