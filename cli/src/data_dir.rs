use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};

use crate::args;

/// The folder in which a cluster keeps everything, and where in it each thing is.
#[derive(Clone)]
pub(crate) struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// The folder that was asked for, or the one that the XDG Base Directory Specification gives.
    pub(crate) fn locate(asked: &args::DataDir) -> anyhow::Result<Self> {
        let root = match &asked.data_dir {
            Some(folder) => std::path::absolute(folder)?,
            None => default_root()?,
        };
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.root.join("store.redb")
    }

    pub(crate) fn pki(&self) -> PathBuf {
        self.root.join("pki")
    }

    pub(crate) fn node(&self) -> PathBuf {
        self.root.join("node")
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// The name of the node that this folder belongs to: the host's when the folder was new, and the same ever after, since
    /// Pods are bound to it.
    pub(crate) fn node_name(&self) -> anyhow::Result<String> {
        let path = self.root.join("node-name");
        let name = as_object_name(&rustix::system::uname().nodename().to_string_lossy());
        match fs::read_to_string(&path) {
            Ok(held) if held.trim().is_empty() => bail!(
                "{} is empty; write the name of this node into it, which was {name:?} unless the host was renamed: Pods are \
                 bound to nodes by their names",
                path.display()
            ),
            Ok(held) => return Ok(held.trim().to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
        carob_pki::write_private(&path, &name)?;
        Ok(name)
    }

    /// Makes this the name of the node, unless it has another already.
    pub(crate) fn claim_node_name(&self, name: &str) -> anyhow::Result<String> {
        let path = self.root.join("node-name");
        if !path.exists() {
            carob_pki::write_private(&path, name)?;
        }
        match self.node_name()? {
            held if held == name => Ok(held),
            held => {
                bail!("{} belongs to the node {held}; choose another --data-dir, or --name {held}", self.root.display())
            }
        }
    }

    /// Makes the folder, private to its owner, and takes it for this process until the lock is dropped.
    pub(crate) fn lock(&self) -> anyhow::Result<DataDirLock> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.root)
            .with_context(|| format!("cannot make the data directory {}", self.root.display()))?;
        let path = self.root.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            file.read_to_string(&mut holder).ok();
            bail!(
                "the data directory {} is in use by process {}; stop that one first, or choose another with --data-dir",
                self.root.display(),
                holder.trim(),
            );
        }
        file.set_len(0)?;
        write!(file, "{}", std::process::id())?;
        Ok(DataDirLock { _file: file })
    }
}

/// Keeps the data directory taken; the system frees it when the process ends, however it ends.
pub(crate) struct DataDirLock {
    _file: File,
}

/// A host name as the name of a Kubernetes object: an RFC 1123 subdomain.
fn as_object_name(host: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' };
    let name: String = host.chars().map(allowed).collect();
    match name.trim_matches(['-', '.']) {
        "" => "node".to_owned(),
        name => name.to_owned(),
    }
}

fn default_root() -> anyhow::Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok("/var/lib/carob".into());
    }
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    variable("XDG_STATE_HOME")
        .or_else(|| Some(variable("HOME")?.join(".local/state")))
        .map(|state| state.join("carob"))
        .context("neither XDG_STATE_HOME nor HOME is set; say where to keep the cluster with --data-dir")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data_dir(root: &Path) -> DataDir {
        DataDir::locate(&args::DataDir { data_dir: Some(root.to_owned()) }).unwrap()
    }

    #[test]
    fn a_second_holder_is_told_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let first = data_dir(folder.path()).lock().unwrap();
        let refusal = data_dir(folder.path()).lock().err().unwrap().to_string();
        assert!(refusal.contains(&std::process::id().to_string()), "{refusal}");
        drop(first);
        data_dir(folder.path()).lock().unwrap();
    }

    #[test]
    fn host_names_become_object_names() {
        for (host, name) in [("Alpha.Example", "alpha.example"), ("my_host", "my-host"), ("-", "node"), ("", "node")] {
            assert_eq!(as_object_name(host), name);
        }
    }

    #[test]
    fn the_node_keeps_its_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("node-name"), "first").unwrap();
        assert_eq!(data_dir(folder.path()).node_name().unwrap(), "first");
        fs::write(folder.path().join("node-name"), "\n").unwrap();
        let refusal = data_dir(folder.path()).node_name().unwrap_err().to_string();
        assert!(refusal.contains("node-name is empty; write the name of this node into it"), "{refusal}");
    }
}
