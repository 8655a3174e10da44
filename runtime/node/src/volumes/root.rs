//! What containers see at `/`: the files of their image, and a folder or file wherever something is mounted.
//!
//! ```text
//! roots/files/<digest>   the files of one bundle, unpacked once
//! roots/<key>            the same as hard links, with mount points; one for all containers whose image and mounts are alike
//! ```
//!
//! Roots are read-only, so that all containers of a Deployment share one. Who wants a place to write mounts a volume.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use carob_engine::Folder;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::images::Image;

/// A place at which something is mounted: an absolute path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MountPoint {
    Folder(String),
    File(String),
}

/// The roots of one node. No container outlives its process, so that what is there at its start is removed.
pub(crate) struct Roots {
    dir: PathBuf,
    /// Locked while one is made.
    made: Mutex<HashMap<String, Weak<Root>>>,
}

/// A root that somebody uses; it is removed after the last.
pub(crate) struct Root {
    pub(crate) folder: Folder,
    path: PathBuf,
}

impl Drop for Root {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a root that nobody uses could not be removed");
        }
    }
}

impl Roots {
    pub(crate) fn new(dir: PathBuf) -> Roots {
        Roots { dir, made: Mutex::default() }
    }

    /// Removes what another process has left. It blocks, and is called before any root is made.
    pub(crate) fn sweep(&self) -> io::Result<()> {
        let left = entries(&self.dir)?.into_iter().filter(|entry| entry.file_name() != "files");
        left.map(|entry| entry.path()).try_for_each(fs::remove_dir_all)
    }

    /// Removes the files of images that are gone, by the digests of those that are there. Roots that are in use keep
    /// theirs. It blocks.
    pub(crate) fn forget(&self, is_image: impl Fn(&str) -> bool) -> io::Result<()> {
        let _none_is_made = self.made.lock();
        for entry in entries(&self.files())? {
            if !entry.file_name().to_str().is_some_and(&is_image) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    /// Where the image's own files are, if it has any. It blocks.
    pub(super) fn carried(&self, image: &Image) -> io::Result<Option<PathBuf>> {
        if !image.has_files()? {
            return Ok(None);
        }
        let _one_unpacks = self.made.lock();
        self.unpacked(image).map(Some)
    }

    /// The root of a container of `image` with these mounts. It blocks.
    pub(super) fn get(&self, image: &Image, points: &BTreeSet<MountPoint>) -> io::Result<Arc<Root>> {
        let key = key(&image.digest, points);
        let mut made = self.made.lock();
        if let Some(root) = made.get(&key).and_then(Weak::upgrade) {
            return Ok(root);
        }
        made.retain(|_, root| root.strong_count() > 0);
        let path = self.dir.join(&key);
        remove(&path)?;
        fs::create_dir_all(&path)?;
        if image.has_files()? {
            link_all(&self.unpacked(image)?, &path)?;
        }
        points.iter().try_for_each(|point| point.make(&path))?;
        let root = Arc::new(Root { folder: Folder::at(&path), path });
        made.insert(key, Arc::downgrade(&root));
        Ok(root)
    }

    fn files(&self) -> PathBuf {
        self.dir.join("files")
    }

    fn unpacked(&self, image: &Image) -> io::Result<PathBuf> {
        let path = self.files().join(image.digest.trim_start_matches("sha256:"));
        if !path.exists() {
            let part = path.with_extension("part");
            remove(&part)?;
            fs::create_dir_all(&part)?;
            image.unpack(&part)?;
            fs::rename(&part, &path)?;
        }
        Ok(path)
    }
}

impl MountPoint {
    fn make(&self, root: &Path) -> io::Result<()> {
        match self {
            MountPoint::Folder(at) => fs::create_dir_all(below(root, at)),
            MountPoint::File(at) => {
                let path = below(root, at);
                path.parent().map_or(Ok(()), fs::create_dir_all)?;
                if path.exists() { Ok(()) } else { fs::File::create(path).map(drop) }
            }
        }
    }

    fn parts(&self) -> (&'static str, &str) {
        match self {
            MountPoint::Folder(at) => ("d", at),
            MountPoint::File(at) => ("f", at),
        }
    }
}

/// The API has checked that no mount path leads out with `..`; one that does anyway stays below.
fn below(root: &Path, at: &str) -> PathBuf {
    at.split('/').filter(|part| !matches!(*part, "" | "." | "..")).fold(root.to_owned(), |path, part| path.join(part))
}

fn key(digest: &str, points: &BTreeSet<MountPoint>) -> String {
    let mut hash = Sha256::new();
    hash.update(digest);
    for (kind, at) in points.iter().map(MountPoint::parts) {
        hash.update([0]);
        hash.update(kind);
        hash.update(at);
    }
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The same folders, with links to the same files.
fn link_all(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            link_all(&source, &target)?;
        } else if fs::hard_link(&source, &target).is_err() {
            // A file system has a most of links to one file, or none at all.
            fs::copy(&source, &target)?;
        }
    }
    Ok(())
}

fn entries(dir: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.collect(),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::ImageStore;

    fn bundle() -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, content) in [("app.wasm", &b"\0asm\x01\0\0\0"[..]), ("site/index.html", b"<p>"), ("etc/a", b"a")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o777);
            archive.append_data(&mut header, path, content).unwrap();
        }
        archive.into_inner().unwrap()
    }

    #[test]
    fn alike_containers_share_a_root_that_goes_with_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let images = ImageStore::open(dir.path().join("images")).unwrap();
        let image = images.load(&bundle(), "app").unwrap();
        let roots = Roots::new(dir.path().join("roots"));
        let points = BTreeSet::from([
            MountPoint::Folder("/data/deep".into()),
            MountPoint::File("/etc/app.conf".into()),
            MountPoint::Folder("/../up".into()),
        ]);
        let root = roots.get(&image, &points).unwrap();
        let path = root.folder.path().to_owned();
        assert_eq!(fs::read_to_string(path.join("site/index.html")).unwrap(), "<p>");
        assert!(path.join("data/deep").is_dir() && path.join("etc/app.conf").is_file() && path.join("up").is_dir());
        assert!(!path.join("app.wasm").exists(), "the program is not one of its files");
        assert!(Arc::ptr_eq(&root, &roots.get(&image, &points).unwrap()));
        let other = roots.get(&image, &BTreeSet::new()).unwrap();
        assert!(!Arc::ptr_eq(&root, &other));
        drop(root);
        assert!(!path.exists());

        let again = Roots::new(dir.path().join("roots"));
        again.sweep().unwrap();
        again.forget(|digest| image.digest.ends_with(digest)).unwrap();
        assert!(!other.folder.path().exists());
        assert_eq!(fs::read_dir(dir.path().join("roots/files")).unwrap().count(), 1);
        again.forget(|_| false).unwrap();
        assert_eq!(fs::read_dir(dir.path().join("roots/files")).unwrap().count(), 0);
    }
}
