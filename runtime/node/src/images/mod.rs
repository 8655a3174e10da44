//! The node's images: WebAssembly files and bundles by their digest, and the names they go by.
//!
//! ```text
//! images/blobs/sha256/<hex>   the file, written once, never changed
//! images/index.json           name -> digest; replaced whole
//! images/lock                 held by whoever changes the index
//! ```
//!
//! Every file reaches its place by write, fsync and rename, so that a reader (or a machine that lost its power) sees the
//! old state or the new one. Another process may load images while the node runs.

mod bundle;
mod files;
mod index;
mod name;
pub(crate) mod news;
mod publish;
mod wasm;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

pub use bundle::NotBundle;
pub use index::Image;
use index::{CachedIndex, Entry, Index};
pub use name::NameError;
pub(crate) use publish::digest;
pub use wasm::NotWasm;

/// Why the image store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The bytes are not something a node can run.
    #[error(transparent)]
    NotWasm(#[from] NotWasm),
    /// The archive is not a bundle.
    #[error(transparent)]
    NotBundle(#[from] NotBundle),
    /// The name cannot be an image's name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The store's own files cannot be read or written.
    #[error("cannot read or write {}", path.display())]
    Store {
        /// The file or folder of the store.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The index is there, but is not an index.
    #[error("the image index {} is damaged; remove it, and load the images again", path.display())]
    Damaged {
        /// The index.
        path: PathBuf,
        /// Where it stops making sense.
        source: serde_json::Error,
    },
}

/// The images of one data directory. Cloning shares it.
#[derive(Clone)]
pub struct ImageStore {
    root: Arc<Path>,
    index: Arc<CachedIndex>,
}

impl ImageStore {
    /// Opens the store in `dir`, and creates it if it is not there.
    pub fn open(dir: impl Into<PathBuf>) -> Result<ImageStore, ImageError> {
        let root = dir.into();
        let blobs = root.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(|source| ImageError::Store { path: blobs, source })?;
        let index = Arc::new(CachedIndex::new(root.join("index.json")));
        Ok(ImageStore { root: root.into(), index })
    }

    /// Puts a component, core module or bundle into the store, under the name `tag`.
    ///
    /// A name that was taken moves to the new file; a file without a name is removed.
    pub fn load(&self, image: &[u8], tag: &str) -> Result<Image, ImageError> {
        let name = name::normalize(tag)?;
        if wasm::is_tar(image) {
            bundle::program(image)?;
        } else {
            wasm::check(image)?;
        }

        let _lock = self.lock()?;
        let blobs = self.blobs();
        let digest = publish::blob(&blobs, image).map_err(|source| ImageError::Store { path: blobs, source })?;
        let entry = Entry { digest, size: image.len() as u64, loaded: Timestamp::now() };
        let mut index = Index::clone(&*self.index.read()?);
        index.images.insert(name.clone(), entry.clone());
        self.index.replace(&index)?;
        self.remove_unnamed(&index);
        Ok(self.image(name, entry))
    }

    /// Every image, by name.
    pub fn list(&self) -> Result<Vec<Image>, ImageError> {
        let index = self.index.read()?;
        Ok(index.images.iter().map(|(name, entry)| self.image(name.clone(), entry.clone())).collect())
    }

    /// The image that a container's `image` means: by name, by name and tag, or by digest.
    pub fn resolve(&self, image: &str) -> Result<Option<Image>, ImageError> {
        let index = self.index.read()?;
        let found = match image.split_once('@') {
            Some((_, digest)) => index.images.iter().find(|(_, entry)| entry.digest == digest),
            None => index.images.get_key_value(&name::normalize(image)?),
        };
        Ok(found.map(|(name, entry)| self.image(name.clone(), entry.clone())))
    }

    /// Changes whenever the index does; comparing two costs one `stat` each.
    pub(crate) fn version(&self) -> impl Eq + Send + use<> {
        self.index.stamp()
    }

    fn image(&self, name: String, entry: Entry) -> Image {
        let path = self.blobs().join(entry.digest.trim_start_matches("sha256:"));
        Image { name, digest: entry.digest, size: entry.size, loaded: entry.loaded, path }
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    /// Held while the index changes; the lock ends with the file.
    fn lock(&self) -> Result<File, ImageError> {
        let path = self.root.join("lock");
        let file = File::options().create(true).write(true).truncate(false).open(&path);
        file.and_then(|file| file.lock().map(|()| file)).map_err(|source| ImageError::Store { path, source })
    }

    /// Removes blobs that no name leads to, and what a killed process left half written.
    ///
    /// A failure costs disk space only, and the next load tries again.
    fn remove_unnamed(&self, index: &Index) {
        let Ok(entries) = fs::read_dir(self.blobs()) else { return };
        for entry in entries.flatten() {
            let digest = format!("sha256:{}", entry.file_name().to_string_lossy());
            if !index.images.values().any(|named| named.digest == digest) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests;
