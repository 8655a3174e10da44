//! From a container's `volumeMounts` to what its guest sees. Everything here blocks.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use carob_engine::{Folder, Mount};
use k8s_openapi::api::core::v1::{Container, VolumeMount};

use super::error::VolumeError;
use super::root::MountPoint;
use super::sub_path::{self, Part};
use super::{Place, Volume};

/// A container's mounts, without its root.
pub(super) struct Mounter<'a> {
    pub(super) container: &'a Container,
    pub(super) volumes: &'a BTreeMap<String, Volume>,
    pub(super) env: &'a [(String, String)],
    /// Where files are kept that outlive a change of their volume.
    pub(super) pinned: PathBuf,
}

impl Mounter<'_> {
    /// Each mount with where it is seen, in the spec's order.
    pub(super) fn mounts(&self) -> Result<Vec<(MountPoint, Mount)>, VolumeError> {
        let mounts = self.container.volume_mounts.iter().flatten();
        mounts.enumerate().map(|(n, mount)| self.mount(n, mount)).collect()
    }

    fn mount(&self, n: usize, mount: &VolumeMount) -> Result<(MountPoint, Mount), VolumeError> {
        let at = absolute(&mount.mount_path);
        let Some(volume) = self.volumes.get(&mount.name) else {
            return Err(VolumeError::Unsupported(format!("volume {:?} is not mounted", mount.name)));
        };
        let read_only = volume.read_only || mount.read_only == Some(true);
        let part = self.sub_path(mount)?;
        let (point, made) = match &part {
            None => whole(volume, at),
            Some(part) => self.part(n, mount, volume, part, read_only).map(|part| as_mount(part, volume, at))?,
        };
        let made = made.read_only(read_only).foreign(volume.foreign);
        Ok((point, volume.quota.iter().cloned().fold(made, Mount::quota)))
    }

    /// The subPath, if there is one, with the environment put in.
    fn sub_path(&self, mount: &VolumeMount) -> Result<Option<PathBuf>, VolumeError> {
        let plain = mount.sub_path.as_deref().filter(|path| !path.is_empty());
        let path = match mount.sub_path_expr.as_deref().filter(|path| !path.is_empty()) {
            Some(expression) => expand(expression, self.env).map_err(|problem| self.failed(mount, problem))?,
            None => match plain {
                Some(path) => path.to_owned(),
                None => return Ok(None),
            },
        };
        let path = PathBuf::from(path);
        if path.is_absolute() || path.components().any(|part| part == std::path::Component::ParentDir) {
            return Err(self.failed(mount, format!("{} must be a relative path without '..'", path.display())));
        }
        Ok(Some(path))
    }

    fn part(
        &self,
        n: usize,
        mount: &VolumeMount,
        volume: &Volume,
        path: &Path,
        read_only: bool,
    ) -> Result<Part, VolumeError> {
        let failed = |error: io::Error| self.failed(mount, error.to_string());
        let Place::Folder(root) = &volume.place else {
            return Err(self.failed(mount, "the volume is a file".to_owned()));
        };
        let root = sub_path::open_root(root).map_err(failed)?;
        let part = sub_path::resolve(&root, path, read_only).map_err(failed)?;
        match part {
            Part::File { dir, name } if volume.live => self.pin(n, &dir, &name).map_err(failed),
            part => Ok(part),
        }
    }

    /// A copy of a file that is about to be replaced when its volume changes: a mounted file stays what it was.
    fn pin(&self, n: usize, dir: &File, name: &str) -> io::Result<Part> {
        let pinned = self.pinned.join(n.to_string());
        fs::create_dir_all(&pinned)?;
        let (mut from, to) = (sub_path::open(dir, name)?, pinned.join(name));
        let permissions = from.metadata()?.permissions();
        // The file of the run before may not be writable.
        match fs::remove_file(&to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut copy = File::options().write(true).create_new(true).mode(0o600).open(&to)?;
        io::copy(&mut from, &mut copy)?;
        copy.set_permissions(permissions)?;
        Ok(Part::File { dir: sub_path::open_root(&pinned)?, name: name.to_owned() })
    }

    fn failed(&self, mount: &VolumeMount, problem: String) -> VolumeError {
        VolumeError::SubPath { volume: mount.name.clone(), container: self.container.name.clone(), problem }
    }
}

fn whole(volume: &Volume, at: String) -> (MountPoint, Mount) {
    match &volume.place {
        Place::Folder(_) => (MountPoint::Folder(at.clone()), Mount::folder(volume.folder.clone(), at)),
        Place::File { name, .. } => {
            (MountPoint::File(at.clone()), Mount::file(volume.folder.clone(), name.clone(), at))
        }
    }
}

fn as_mount(part: Part, volume: &Volume, at: String) -> (MountPoint, Mount) {
    let path = volume.folder.path().to_owned();
    match part {
        Part::Folder(dir) => (MountPoint::Folder(at.clone()), Mount::folder(Folder::opened(path, dir), at)),
        Part::File { dir, name } => (MountPoint::File(at.clone()), Mount::file(Folder::opened(path, dir), name, at)),
    }
}

/// `a//b/` as `/a/b`.
fn absolute(path: &str) -> String {
    format!("/{}", super::payload::clean(path))
}

/// Puts the values of `$(NAME)` in; unlike in arguments, each name must have one.
fn expand(text: &str, env: &[(String, String)]) -> Result<String, String> {
    let env: HashMap<_, _> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("$(") {
        let (name, after) = after.split_once(')').ok_or_else(|| format!("{text:?} has no ')'"))?;
        out.push_str(before);
        out.push_str(env.get(name).ok_or_else(|| format!("missing value for {name:?}"))?);
        rest = after;
    }
    Ok(out + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_a_sub_path_must_have_a_value() {
        let env = [("POD".to_owned(), "p-1".to_owned())];
        for (text, expected) in [
            ("logs/$(POD)/x", Ok("logs/p-1/x")),
            ("plain", Ok("plain")),
            ("$(NO)", Err("missing value for \"NO\"")),
            ("$(POD", Err("\"$(POD\" has no ')'")),
        ] {
            assert_eq!(expand(text, &env), expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
        assert_eq!(absolute("//a/./b/"), "/a/b");
    }
}
