//! Addresses and sequences of operations on sockets, over a network in memory.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;

#[path = "../../../runtime/engine/tests/common/network.rs"]
#[allow(dead_code)]
mod network;

fuzz_target!(|script: &[u8]| {
    carob_engine::fuzzing::run(Arc::new(network::MemoryNetwork::default()), script);
});
