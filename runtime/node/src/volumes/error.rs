use std::io;
use std::path::{Path, PathBuf};

/// Why a volume could not be set up; `Display` is what a kubelet says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VolumeError {
    /// An object that the volume is made from is not there.
    #[error("{kind} {name:?} not found")]
    NotFound { kind: &'static str, name: String },
    /// The object is there, but not the key.
    #[error("{kind} references non-existent {what}: {key}", what = if *.kind == "configmap" { "config key" } else { "secret key" })]
    NoKey { kind: &'static str, key: String },
    /// The claim has no volume yet.
    #[error("error processing PVC {namespace}/{name}: PVC is not bound")]
    NotBound { namespace: String, name: String },
    /// The volume is of a kind that this node cannot mount.
    #[error("no volume plugin matched: {0}")]
    Unsupported(String),
    /// The volume lies on another node.
    #[error("storage node affinity check failed for volume {volume:?} : no matching NodeSelectorTerms")]
    Elsewhere { volume: String },
    /// A hostPath is not what its type says.
    #[error("hostPath type check failed: {} {problem}", path.display())]
    HostPath { path: PathBuf, problem: &'static str },
    /// A subPath leads out of its volume, or cannot be made.
    #[error("failed to prepare subPath for volumeMount {volume:?} of container {container:?}: {problem}")]
    SubPath { volume: String, container: String, problem: String },
    /// There can be no file at a container's terminationMessagePath.
    #[error("terminationMessagePath {path:?} must be the path of a file, without '..'")]
    MessagePath { path: String },
    /// No token.
    #[error("failed to fetch token: {0}")]
    Token(String),
    /// A field of the Pod that cannot be shown as a file.
    #[error("{0}")]
    Field(String),
    /// The API did not answer.
    #[error("failed to sync {kind} cache: {message}")]
    Unreachable { kind: &'static str, message: String },
    /// The disk did not do as it was told.
    #[error("cannot use {}: {source}", path.display())]
    Disk { path: PathBuf, source: io::Error },
}

impl VolumeError {
    pub(super) fn disk(path: &Path) -> impl FnOnce(io::Error) -> VolumeError {
        let path = path.to_owned();
        move |source| VolumeError::Disk { path, source }
    }
}
