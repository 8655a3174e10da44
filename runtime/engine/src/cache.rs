//! Compiled programs on disk: `DIR/ENGINE/DIGEST/CHECKSUM.cwasm`.
//!
//! ENGINE changes with the version and settings of wasmtime, DIGEST names the bytes that were compiled, and CHECKSUM is
//! the SHA-256 of the file itself: machine code is loaded only if it is, byte for byte, what was written here.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use wasmtime::Engine;
use wasmtime::component::Component;

pub(crate) struct Cache {
    dir: PathBuf,
}

const SUFFIX: &str = ".cwasm";

impl Cache {
    pub(crate) fn open(dir: &Path, engine: &Engine) -> io::Result<Cache> {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let dir = dir.join(format!("{:016x}", hasher.finish()));
        fs::create_dir_all(&dir)?;
        Ok(Cache { dir })
    }

    /// The program that was stored, mapped into memory. What is damaged is removed.
    pub(crate) fn load(&self, engine: &Engine, digest: &str) -> Option<Component> {
        for entry in fs::read_dir(self.folder(digest)).ok()?.flatten() {
            let path = entry.path();
            match verified(&path).and_then(|()| mapped(engine, &path).map_err(io::Error::other)) {
                Ok(component) => return Some(component),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "removing a compiled program that cannot be used");
                    let _ = fs::remove_file(&path);
                }
            }
        }
        None
    }

    /// Keeps a compiled program. It appears as a whole, under its checksum, or not at all.
    pub(crate) fn store(&self, digest: &str, compiled: &[u8]) -> io::Result<()> {
        let folder = self.folder(digest);
        fs::create_dir_all(&folder)?;
        // Beside the folder, so that nobody takes the unfinished file for a program.
        let mut file = NamedTempFile::new_in(&self.dir)?;
        file.write_all(compiled)?;
        file.persist(folder.join(checksum(Sha256::digest(compiled).as_slice())))?;
        Ok(())
    }

    /// A digest comes from outside; only its letters and digits become part of a path.
    fn folder(&self, digest: &str) -> PathBuf {
        self.dir.join(digest.replace(|c: char| !c.is_ascii_alphanumeric(), "-"))
    }
}

fn checksum(digest: &[u8]) -> String {
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    hex + SUFFIX
}

fn verified(path: &Path) -> io::Result<()> {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    let found = checksum(hasher.finalize().as_slice());
    if path.file_name().is_some_and(|name| name == found.as_str()) {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "the file is not what was written"))
}

#[allow(unsafe_code)]
fn mapped(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: the file is what `precompile_component` gave (its checksum was verified just now), and the folder belongs
    // to this process alone: whoever else can write to it is already trusted to run code here.
    unsafe { Component::deserialize_file(engine, path) }
}

/// A program that was compiled in this process and could not be kept.
#[allow(unsafe_code)]
pub(crate) fn in_memory(engine: &Engine, compiled: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `compiled` comes from `precompile_component` of an engine with the same settings, and was never outside.
    unsafe { Component::deserialize(engine, compiled) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPONENT: &str = r#"(component (core module (func (export "f"))))"#;

    /// A cache with one program in it, and the path of its file.
    fn stored() -> (tempfile::TempDir, Engine, Cache, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let cache = Cache::open(dir.path(), &engine).unwrap();
        let compiled = engine.precompile_component(&wat::parse_str(COMPONENT).unwrap()).unwrap();
        cache.store("sha256:ab", &compiled).unwrap();
        let file = fs::read_dir(cache.folder("sha256:ab")).unwrap().next().unwrap().unwrap().path();
        (dir, engine, cache, file)
    }

    #[test]
    fn what_was_stored_is_loaded_and_nothing_else() {
        let (_dir, engine, cache, _) = stored();
        assert!(cache.load(&engine, "sha256:ab").is_some());
        assert!(cache.load(&engine, "sha256:cd").is_none());
        assert!(cache.load(&engine, "../../etc").is_none());
    }

    #[test]
    fn a_damaged_file_is_removed_and_not_loaded() {
        type Damage = fn(&mut Vec<u8>);
        let damages: [(&str, Damage); 4] = [
            ("truncated", |bytes| bytes.truncate(bytes.len() / 2)),
            ("empty", |bytes| bytes.clear()),
            ("longer", |bytes| bytes.push(0)),
            ("one bit", |bytes| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            }),
        ];
        for (name, damage) in damages {
            let (_dir, engine, cache, file) = stored();
            let mut bytes = fs::read(&file).unwrap();
            damage(&mut bytes);
            fs::write(&file, bytes).unwrap();
            assert!(cache.load(&engine, "sha256:ab").is_none(), "{name}");
            assert!(!file.exists(), "{name}");
        }
    }
}
