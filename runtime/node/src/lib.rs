//! Turns a Pod on paper into a running Pod, and reports what is true.
//!
//! The node is an ordinary client of the API, as a kubelet is: it registers itself, runs the Pods that are bound to it,
//! reports their status and serves the kubelet's HTTP API. It never knows the store, the API server's insides, or
//! wasmtime: containers are run by whatever is behind its runtime trait.
//!
//! Start reading at [`Node`]; then at `pods`, where a Pod's life is decided (`plan`, `status`: both pure) and carried out
//! (`worker`).
//!
//! What differs from a kubelet, because a container is a WebAssembly file:
//! - A file has no entry point to replace: `command` and `args` together are the arguments, with the program's name in
//!   front; without a `command` that name is the container's.
//! - Components of one Pod are linked: an import that is not WASI's is met by the container whose component exports it, and
//!   which is started first. One that exports nothing else runs as long as the Pod.
//! - A container that serves HTTP answers at its Pod's address on every `containerPort` it declares, or on 8080 if it
//!   declares none.
//! - There is no registry yet: an image has to be in the node's own store, under its name, also with `imagePullPolicy`
//!   `Always`.
//! - It provides volumes by itself: the provisioner `carob.dev/local-path` makes folders under its data directory.
//! - A container is entered by running another component inside it: there are no shells, but tools (`tools.rs`).
//! - WASI has no signals: a command that is told to end goes on until its grace is over. A server stops taking requests.

mod api;
mod clock;
mod console;
mod errors;
mod eviction;
mod identity;
pub mod images;
mod ip;
mod keyvalue;
mod local_path;
mod logs;
mod machine;
mod node;
mod pods;
mod quantity;
mod registration;
mod runtime;
mod stats;
mod tools;
mod volumes;

pub use api::serve_kubelet;
pub use eviction::{Thresholds, ThresholdsError};
pub use identity::{Credentials, IdentityError, Invitation};
pub use machine::machine_memory;
pub use node::{ClusterNames, Node, NodeConfig};

#[cfg(test)]
mod tests;
