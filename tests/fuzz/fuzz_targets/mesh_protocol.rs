//! Bytes that another node may send. README.md says how to run it.
#![cfg_attr(feature = "libfuzzer", no_main)]

#[cfg(not(feature = "libfuzzer"))]
mod random;

use carob_netmesh::read_mesh_protocol as run;

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| run(bytes));

#[cfg(not(feature = "libfuzzer"))]
fn main() -> anyhow::Result<()> {
    random::feed(run)
}
