//! What a Pod asks for that this node cannot give yet: said aloud, never passed over.

use k8s_openapi::api::core::v1::{Container, Pod};

use super::spec::PodExt;

/// Why the container cannot run here, if it cannot.
pub(crate) fn refusal(pod: &Pod, container: &Container) -> Option<String> {
    if pod.spec().and_then(|spec| spec.host_network) == Some(true) {
        return Some("hostNetwork is not supported: a WebAssembly Pod never has the host's network".to_owned());
    }
    if let Some(mount) = container.volume_mounts.iter().flatten().next() {
        return Some(format!(
            "volume mounts are not supported yet (volume {:?} at {:?})",
            mount.name, mount.mount_path
        ));
    }
    None
}

/// What is left out though the container runs.
pub(crate) fn omissions(container: &Container) -> Vec<String> {
    let mut omissions = Vec::new();
    if container.working_dir.as_deref().is_some_and(|dir| !dir.is_empty()) {
        omissions.push("workingDir is ignored: the container has no file system yet".to_owned());
    }
    omissions
}
