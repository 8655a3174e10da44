//! Addresses and sequences of operations on sockets, over a network in memory. README.md says how to run it.
#![cfg_attr(feature = "libfuzzer", no_main)]

#[path = "../../../runtime/engine/tests/common/network.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "the engine's tests use the rest")]
mod network;
#[cfg(not(feature = "libfuzzer"))]
mod random;

use std::sync::Arc;

/// Does what the script says, and panics if something does not hold.
fn run(script: &[u8]) {
    carob_engine::fuzzing::run(Arc::new(network::MemoryNetwork::default()), script);
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|script: &[u8]| run(script));

#[cfg(not(feature = "libfuzzer"))]
fn main() -> anyhow::Result<()> {
    random::feed(run)
}
