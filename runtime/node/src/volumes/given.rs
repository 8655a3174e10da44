//! The files that the node gives to a container, and the one that it takes back: its termination message.
//!
//! They lie in one folder for each container, made anew for each run. Everything here blocks.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use carob_engine::{Folder, Mount, Quota};
use k8s_openapi::api::core::v1::Container;

use super::error::VolumeError;
use super::quota::Bound;
use super::root::MountPoint;
use crate::pods::GivenFile;

/// The name of a container's termination message in its folder.
const MESSAGE: &str = "termination-log";
/// What a termination message may hold at most, in bytes; a sixteenth of it is reported.
const MOST: u64 = 64 << 10;

/// Where the node finds the termination message of a container whose folder this is.
pub(crate) fn message(dir: &Path) -> PathBuf {
    dir.join(MESSAGE)
}

/// What is given to one container.
pub(super) struct Giver<'a> {
    pub(super) container: &'a Container,
    pub(super) files: &'a [GivenFile],
    /// The container's folder for them.
    pub(super) dir: PathBuf,
    /// What all that the Pod stores may be.
    pub(super) bound: Option<Arc<Bound>>,
}

impl Giver<'_> {
    /// Writes the files, and answers where they are seen. The container's mounts and the `image`'s own files come first; a
    /// termination message takes the place of a file of the image.
    pub(super) fn mounts(&self, image: Option<&Path>) -> Result<Vec<(MountPoint, Mount)>, VolumeError> {
        let place = self.message_place()?;
        self.clear().map_err(VolumeError::disk(&self.dir))?;
        let folder = Folder::at(&self.dir);
        let message = place.filter(|at| !self.mounts_at(at));
        let mut mounts = Vec::new();
        for file in self.files {
            let is_carried = image.is_some_and(|image| image.join(&file.path[1..]).exists());
            if !is_carried && message.as_deref() != Some(file.path) && !self.mounts_at(file.path) {
                mounts.push(self.give(&folder, file).map_err(VolumeError::disk(&self.dir))?);
            }
        }
        if let Some(at) = message {
            mounts.push(self.open_message(&folder, at).map_err(VolumeError::disk(&self.dir))?);
        }
        Ok(mounts)
    }

    /// What an earlier run has left goes.
    fn clear(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir_all(&self.dir)
    }

    fn give(&self, folder: &Folder, file: &GivenFile) -> io::Result<(MountPoint, Mount)> {
        let name = file.path.rsplit('/').next().unwrap_or(file.path);
        fs::write(self.dir.join(name), &file.text)?;
        let mount = Mount::file(folder.clone(), name, file.path).read_only(true);
        Ok((MountPoint::File(file.path.to_owned()), mount))
    }

    fn open_message(&self, folder: &Folder, at: String) -> io::Result<(MountPoint, Mount)> {
        let file = message(&self.dir);
        File::create(&file)?;
        if let Some(bound) = &self.bound {
            bound.add(self.dir.clone());
        }
        let room = Arc::new(Room { file, left: AtomicU64::new(MOST), bound: self.bound.clone() });
        let mount = Mount::file(folder.clone(), MESSAGE, at.clone()).quota(room);
        Ok((MountPoint::File(at), mount))
    }

    /// Where the container sees its termination message, if it is to have one.
    fn message_place(&self) -> Result<Option<String>, VolumeError> {
        let path = self.container.termination_message_path.as_deref().unwrap_or_default();
        if path.is_empty() {
            return Ok(None);
        }
        let clean = super::payload::clean(path);
        if clean.is_empty() || path.ends_with('/') || clean.split('/').any(|part| part == "..") {
            return Err(VolumeError::MessagePath { path: path.to_owned() });
        }
        Ok(Some(format!("/{clean}")))
    }

    fn mounts_at(&self, at: &str) -> bool {
        let mut mounts = self.container.volume_mounts.iter().flatten();
        mounts.any(|mount| super::payload::clean(&mount.mount_path) == at[1..])
    }
}

/// Bounds a termination message, which counts for the Pod too.
struct Room {
    file: PathBuf,
    left: AtomicU64,
    bound: Option<Arc<Bound>>,
}

impl Quota for Room {
    fn take(&self, bytes: u64) -> bool {
        let fits = self.try_take(bytes) || {
            // It may have been cut since.
            let held = fs::metadata(&self.file).map_or(MOST, |meta| meta.len());
            self.left.store(MOST.saturating_sub(held), Ordering::Relaxed);
            self.try_take(bytes)
        };
        fits && self.bound.as_ref().is_none_or(|bound| bound.take(bytes))
    }
}

impl Room {
    fn try_take(&self, bytes: u64) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const FILES: [&str; 2] = ["/etc/hosts", "/etc/hostname"];

    /// Where a container sees what, in a folder that is gone afterwards.
    fn given(container: Value, image: Option<&Path>) -> Result<Vec<String>, String> {
        let mut container = container;
        container["name"] = json!("a");
        let container: Container = serde_json::from_value(container).unwrap();
        let files = FILES.map(|path| GivenFile { path, text: path.to_owned() });
        let dir = tempfile::tempdir().unwrap();
        let giver = Giver { container: &container, files: &files, dir: dir.path().join("a"), bound: None };
        let mounts = giver.mounts(image).map_err(|error| error.to_string())?;
        let at = |(point, mount): (MountPoint, Mount)| {
            assert_eq!(point, MountPoint::File(mount.guest_path().to_owned()));
            let name = mount.guest_path().rsplit('/').next().unwrap();
            let is_read_only = format!("{mount:?}").ends_with("(ro)");
            let (file, mode) = if is_read_only { (name, "ro") } else { (MESSAGE, "rw") };
            assert!(giver.dir.join(file).is_file(), "{file}");
            format!("{} {mode}", mount.guest_path())
        };
        Ok(mounts.into_iter().map(at).collect())
    }

    #[test]
    fn mounts_and_the_images_own_files_come_first() {
        let image = tempfile::tempdir().unwrap();
        fs::create_dir(image.path().join("etc")).unwrap();
        fs::write(image.path().join("etc/hosts"), "of the image").unwrap();
        let log = json!({"terminationMessagePath": "/dev/termination-log"});
        let mounting =
            |at: &str| json!({"volumeMounts": [{"name": "v", "mountPath": at}], "terminationMessagePath": "/m"});
        for (container, image, expected) in [
            (json!({}), None, vec!["/etc/hosts ro", "/etc/hostname ro"]),
            (log.clone(), None, vec!["/etc/hosts ro", "/etc/hostname ro", "/dev/termination-log rw"]),
            (log, Some(image.path()), vec!["/etc/hostname ro", "/dev/termination-log rw"]),
            (mounting("/etc/hosts/"), None, vec!["/etc/hostname ro", "/m rw"]),
            (mounting("/etc"), None, vec!["/etc/hosts ro", "/etc/hostname ro", "/m rw"]),
            (mounting("/m"), None, vec!["/etc/hosts ro", "/etc/hostname ro"]),
            (json!({"terminationMessagePath": "/etc/hosts"}), None, vec!["/etc/hostname ro", "/etc/hosts rw"]),
            (
                json!({"terminationMessagePath": "own//./words"}),
                None,
                vec!["/etc/hosts ro", "/etc/hostname ro", "/own/words rw"],
            ),
        ] {
            assert_eq!(given(container.clone(), image).unwrap(), expected, "{container}");
        }
        for path in ["/", "/dev/../log", "/dev/"] {
            let refused = given(json!({"terminationMessagePath": path}), None).unwrap_err();
            assert!(refused.contains(path) && refused.contains("terminationMessagePath"), "{refused}");
        }
    }

    #[test]
    fn a_message_may_be_written_again_and_never_holds_more_than_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let room = Room { file: message(dir.path()), left: AtomicU64::new(MOST), bound: None };
        for _ in 0..10 {
            assert!(room.take(MOST - 100));
            fs::write(&room.file, "short").unwrap();
        }
        File::options().write(true).open(&room.file).unwrap().set_len(MOST).unwrap();
        assert!(!room.take(200));
    }
}
