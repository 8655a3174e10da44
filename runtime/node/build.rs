//! Says where the built tools are that every node carries: `CAROB_SAMPLES_DIR`, or those of the repository.

use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-env-changed=CAROB_SAMPLES_DIR");
    let committed = || PathBuf::from(std::env!("CARGO_MANIFEST_DIR")).join("../../samples/dist");
    let samples = std::env::var_os("CAROB_SAMPLES_DIR").map_or_else(committed, PathBuf::from);
    println!("cargo::rustc-env=CAROB_TOOLS_DIR={}", samples.display());
}
