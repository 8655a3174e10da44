//! What a guest may hold of the host's memory beside its own. No guest can change these.
//!
//! Resources, with the headers and pieces of bodies that they hold, are counted into what `limits.memory` bounds, at each
//! tick of a guest that runs (`host_memory.rs`); [`UNCOUNTED_BYTES`] of an instance are not.
//!
//! | what | bound | for |
//! |---|---|---|
//! | resources of the host: streams, bodies, headers, descriptors, sockets | [`RESOURCES`] | an instance |
//! | bytes of bodies on their way through one resource | [`BODY_BYTES`] | a resource |
//! | bytes of one set of HTTP headers | [`HEADER_BYTES`] | a resource |
//! | bytes that one call hands over | [`CALL_BYTES`] | a call |
//! | bytes that one write to an output takes | [`CHUNK`] | a call |
//! | live instances, requests that wait, requests at once in an instance | [`HttpLimits`](crate::HttpLimits) | a container |
//! | open files, programs beside the container's own | [`EngineConfig`](crate::EngineConfig) | a container |
//! | bytes that a connection holds in each direction | [`TcpOptions`](carob_net::TcpOptions) | a connection |
//! | resources of siblings | [`RESOURCES`] | an instance |
//! | resources that siblings hold of it | [`LENT`] | a container |
//! | calls of siblings that wait, and that run at once | [`CALLS`] | a container |
//! | sockets, and the bytes in all their buffers | the Pod's [`Network`](carob_net::Network) | a Pod |
//! | sockets of the host, to the outside | the [`Networks`](carob_net::Networks) | all Pods |

/// Ten times what a busy server holds.
pub(crate) const RESOURCES: usize = 10_000;

/// What a resource is counted as, beside what it holds: more than most take, boxes and their places in tables included.
pub(crate) const RESOURCE_BYTES: usize = 512;

/// What every instance may have of the host without its being counted: more than a server that answers one request needs.
pub(crate) const UNCOUNTED_BYTES: usize = 128 * 1024;

/// One piece of a body that a guest sends.
pub(crate) const BODY_CHUNK: usize = 16 * 1024;

/// A piece that is being sent, and one behind it.
pub(crate) const BODY_BYTES: usize = 2 * BODY_CHUNK;

/// What ten siblings hold at most.
pub(crate) const LENT: usize = 10 * RESOURCES;

/// Whoever brings one more waits until there is room.
pub(crate) const CALLS: usize = 64;

/// Twice what most servers take of headers.
pub(crate) const HEADER_BYTES: usize = 32 * 1024;

/// Lists and strings of one call are copied to the host at once; streams come in pieces that are far smaller.
pub(crate) const CALL_BYTES: usize = 16 << 20;

/// One write never holds its thread for long.
pub(crate) const CHUNK: usize = 64 * 1024;
