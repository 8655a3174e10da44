//! Which name leads to which digest.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{ImageError, bundle, files, publish, wasm};

/// An image of this node: a name, and the file it leads to.
#[derive(Debug, Clone)]
pub struct Image {
    /// The name with its tag, such as `hello:latest`.
    pub name: String,
    /// `sha256:` and the digest of the file, in hexadecimal.
    pub digest: String,
    /// Length of the file, in bytes.
    pub size: u64,
    /// When the name was given to the file.
    pub loaded: Timestamp,
    pub(super) path: PathBuf,
}

impl Image {
    /// Whether it carries files beside its program.
    pub(crate) fn has_files(&self) -> io::Result<bool> {
        files::has_files(File::open(&self.path)?)
    }

    /// Writes the files of a bundle below the empty folder `to`, all of them read-only.
    pub(crate) fn unpack(&self, to: &Path) -> io::Result<()> {
        files::unpack(File::open(&self.path)?, to)
    }

    /// Reads the program: the file, or what runs of a bundle.
    pub fn program(&self) -> io::Result<Vec<u8>> {
        let image = fs::read(&self.path)?;
        match wasm::is_tar(&image) {
            true => bundle::program(&image).map_err(io::Error::other),
            false => Ok(image),
        }
    }

    /// The name of the program that it runs: a bundle's file says it, otherwise the image's own name does.
    pub(crate) fn program_name(&self) -> io::Result<String> {
        if let Some(mut bundle) = self.bundle()? {
            return bundle::program_name(&mut bundle);
        }
        let repository = self.name.rsplit_once(':').map_or(self.name.as_str(), |(repository, _)| repository);
        Ok(repository.rsplit('/').next().unwrap_or_default().to_owned())
    }

    /// A file that a bundle carries for being run inside its container: `NAME`, `NAME.wasm` or `bin/NAME.wasm`.
    pub(crate) fn carried(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.bundle()?.map_or(Ok(None), |mut bundle| bundle::carried(&mut bundle, name))
    }

    fn bundle(&self) -> io::Result<Option<File>> {
        let mut file = File::open(&self.path)?;
        let mut head = Vec::new();
        (&mut file).take(wasm::HEAD).read_to_end(&mut head)?;
        file.rewind()?;
        Ok(wasm::is_tar(&head).then_some(file))
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Index {
    pub(super) images: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) digest: String,
    pub(super) size: u64,
    pub(super) loaded: Timestamp,
}

/// Tells one index file from the next: each is a new file, so its inode or its time differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    seconds: i64,
    nanoseconds: i64,
    size: u64,
}

/// The index file, parsed again only when it was replaced.
pub(super) struct CachedIndex {
    path: PathBuf,
    parsed: Mutex<Option<(Stamp, Arc<Index>)>>,
}

impl CachedIndex {
    pub(super) fn new(path: PathBuf) -> CachedIndex {
        CachedIndex { path, parsed: Mutex::new(None) }
    }

    /// The index as it is on disk now; empty if there is none yet.
    pub(super) fn read(&self) -> Result<Arc<Index>, ImageError> {
        let Some(stamp) = self.stamp() else { return Ok(Arc::default()) };
        let mut parsed = self.parsed.lock();
        if let Some((known, index)) = &*parsed
            && *known == stamp
        {
            return Ok(index.clone());
        }
        let bytes = fs::read(&self.path).map_err(|source| ImageError::Store { path: self.path.clone(), source })?;
        let index =
            serde_json::from_slice(&bytes).map_err(|source| ImageError::Damaged { path: self.path.clone(), source })?;
        let index = Arc::new(index);
        *parsed = Some((stamp, Arc::clone(&index)));
        Ok(index)
    }

    pub(super) fn replace(&self, index: &Index) -> Result<(), ImageError> {
        let failed = |source| ImageError::Store { path: self.path.clone(), source };
        let bytes = serde_json::to_vec_pretty(index).map_err(|error| failed(error.into()))?;
        publish::replace(&self.path, &bytes).map_err(failed)
    }

    pub(super) fn stamp(&self) -> Option<Stamp> {
        let meta = fs::metadata(&self.path).ok()?;
        Some(Stamp { inode: meta.ino(), seconds: meta.mtime(), nanoseconds: meta.mtime_nsec(), size: meta.len() })
    }
}
