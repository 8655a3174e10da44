//! The samples, and an engine for them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use carob_engine::{Engine, EngineConfig, Program};
use tempfile::TempDir;

/// An engine whose cache goes away with it.
pub(crate) struct Guests {
    pub(crate) engine: Engine,
    pub(crate) cache: TempDir,
}

pub(crate) fn engine() -> Result<Guests> {
    let cache = crate::measure::folder_on_disk()?;
    let engine = Engine::new(EngineConfig::new(cache.path()))?;
    Ok(Guests { engine, cache })
}

impl Guests {
    pub(crate) async fn program(&self, sample: &str) -> Result<Program> {
        Ok(self.engine.compile(sample, &wasm(sample)?).await?)
    }
}

/// Where the sample is: in `CAROB_SAMPLES_DIR`, or in the repository.
pub(crate) fn path(sample: &str) -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/dist");
    let folder = std::env::var_os("CAROB_SAMPLES_DIR").map_or(built, PathBuf::from);
    folder.join(sample).with_extension("wasm")
}

/// The sample's bytes.
pub(crate) fn wasm(sample: &str) -> Result<Vec<u8>> {
    let file = path(sample);
    std::fs::read(&file).with_context(|| format!("cannot read {}; run `make samples`", file.display()))
}
