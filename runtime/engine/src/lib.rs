//! Runs one component, meters it, stops it.
//!
//! An [`Engine`] compiles a component once per digest ([`Engine::compile`]) and starts containers of it
//! ([`Engine::start`]). What the component exports decides how it runs, see [`Kind`]: a command runs to its end, an HTTP
//! handler answers requests through the [`carob_net::HttpService`] of its [`Container`] and holds no instance while idle,
//! and what exports interfaces of its own answers the calls of the containers that are linked to it ([`Link`]). Further
//! programs run inside a container by [`Container::exec`].
//!
//! Limits belong to the container and are shared by all its live instances. A guest's network is the one that its container
//! was given, it sees of the host's files what it is given as [`Mount`]s, and it cannot stop its neighbours: guests run on
//! threads of their own, and give way at every tick of the epoch clock.
//!
//! This crate never knows Kubernetes. Start reading at `engine.rs`, then `container.rs`; `http/` is the dispatch of
//! requests to instances.

mod bounds;
mod cache;
mod capabilities;
mod command;
mod compile;
mod composition;
mod container;
mod cpu;
mod engine;
mod exec;
mod files;
mod guests;
mod host;
mod host_memory;
mod http;
mod imports;
mod input;
mod memory;
mod memory_group;
mod outgoing;
mod output;
mod pool;
mod program;
mod sockets;
mod ticker;
mod trap;
mod wrap;

pub use capabilities::{Bucket, BucketError, BucketGrant, Capabilities, Capability, Keys, Swapped};
pub use compile::CompileError;
pub use composition::{Composition, Interfaces, Link, LinkError, Peer};
pub use container::{Container, ContainerConfig, Exit, Limits, Reason, ResizeError, StartError, Usage};
pub use engine::{Engine, EngineConfig, EngineError, HttpLimits};
pub use exec::{Exec, ExecConfig, ExecError};
pub use files::{Folder, Mount, Quota};
pub use input::{Input, InputClosed};
pub use memory_group::MemoryGroup;
pub use output::{Output, Stream};
pub use program::{Kind, Program};

/// For `tests/fuzz`.
#[cfg(feature = "fuzzing")]
pub use sockets::fuzzing;
