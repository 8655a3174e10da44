//! The folders themselves. Nothing but what has a volume's name, right under the root, is ever made or removed.

use std::fs::DirBuilder;
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

#[derive(Clone)]
pub(super) struct Folders {
    root: PathBuf,
}

impl Folders {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder of the volume of this name. Names of objects have no slash and do not begin with a dot.
    pub(super) fn of(&self, volume: &str) -> PathBuf {
        self.root.join(volume)
    }

    /// Makes the volume's folder; one that is there already is as good.
    pub(super) async fn make(&self, volume: &str) -> io::Result<PathBuf> {
        let folder = self.of(volume);
        let made = folder.clone();
        blocking(move || DirBuilder::new().recursive(true).mode(0o700).create(made)).await?;
        Ok(folder)
    }

    /// Removes the volume's folder and all that is in it. Links in it are removed, not followed.
    pub(super) async fn remove(&self, volume: &str) -> io::Result<()> {
        let folder = self.of(volume);
        blocking(move || gone(&folder)).await
    }
}

fn gone(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

async fn blocking<T: Send + 'static>(act: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(act).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[tokio::test]
    async fn what_links_point_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("file"), "kept").unwrap();
        let folders = Folders::new(dir.path().join("local-path"));
        let folder = folders.make("pvc-1").await.unwrap();
        folders.make("pvc-1").await.unwrap();
        symlink(&outside, folder.join("link")).unwrap();
        folders.remove("pvc-1").await.unwrap();
        folders.remove("pvc-1").await.unwrap();
        assert!(!folder.exists());
        assert_eq!(std::fs::read_to_string(outside.join("file")).unwrap(), "kept");
    }
}
