//! Watches, queues, retries, tells: the loop that the scheduler and every controller share.
//!
//! A controller is a pure function from a snapshot to actions. What is around it is always the same, and is written
//! once, here:
//!
//! - [`Informers`]: one reflector per kind in a process, shared by all who read that kind. Reads are from memory,
//!   by name, by namespace and by owner, and they include the process's own writes (see [`Informer::observe`]);
//! - [`Queue`] and [`run`]: one entry per object, de-duplicated, delayed, one run at a time per object, exponential
//!   back-off per object. A notification only wakes: it carries no data;
//! - [`Recorder`]: Events, correlated and limited as Kubernetes does it.
//!
//! This crate knows `kube::Client` and Kubernetes' metadata. It never knows what any kind means, it never decides
//! anything, and it knows neither the store nor HTTP.
//!
//! Start reading in `store.rs` (the pure part of a reflector), then `queue.rs`.

mod backoff;
mod correlate;
mod feed;
mod informer;
mod informers;
mod key;
mod queue;
mod recorder;
mod runner;
mod source;
mod store;

pub use backoff::Backoff;
pub use feed::follow;
pub use informer::Informer;
pub use informers::{Informers, Watched};
pub use key::{ObjectKey, controller_of, revision_of};
pub use queue::Queue;
pub use recorder::{EventType, Recorder, Writer, recorder};
pub use runner::{Next, Reconcile, run};
pub use source::{MetadataOnly, Source, Whole};
pub use store::Change;
