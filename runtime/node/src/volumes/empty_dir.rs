use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use carob_engine::Quota;
use k8s_openapi::api::core::v1::{Container, EmptyDirVolumeSource, Pod};
use tokio::sync::watch;

use super::charge::PodMemory;
use super::error::VolumeError;
use super::quota::{Bound, Bounds};
use super::{Place, Volume};
use crate::quantity;

const STORAGE: &str = "ephemeral-storage";

pub(super) fn is_memory(source: &EmptyDirVolumeSource) -> bool {
    source.medium.as_deref() == Some("Memory")
}

/// The folder, which keeps what is in it already: it outlives containers, and the node's process. It blocks.
pub(super) fn volume(
    folder: PathBuf,
    bounds: Vec<Arc<Bound>>,
    memory: Option<Arc<PodMemory>>,
) -> Result<Volume, VolumeError> {
    fs::create_dir_all(&folder).map_err(VolumeError::disk(&folder))?;
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).map_err(VolumeError::disk(&folder))?;
    bounds.iter().for_each(|bound| bound.add(folder.clone()));
    let bounds = bounds.into_iter().map(|bound| bound as Arc<dyn Quota>);
    let quotas: Vec<_> = bounds.chain(memory.map(|memory| memory as Arc<dyn Quota>)).collect();
    let quota = (!quotas.is_empty()).then(|| Arc::new(Bounds(quotas)) as Arc<dyn Quota>);
    Ok(Volume { quota, ..Volume::at(Place::Folder(folder)) })
}

/// The bound of a volume with a `sizeLimit`. One in memory is full when it is reached, as a tmpfs is; for one on disk its Pod
/// has to go.
pub(super) fn bound(
    name: &str,
    source: &EmptyDirVolumeSource,
    exceeded: &watch::Sender<Option<String>>,
) -> Option<Arc<Bound>> {
    let limit = source.size_limit.as_ref()?;
    let bytes = quantity::units(limit).filter(|bytes| *bytes > 0)?;
    let message = format!("Usage of EmptyDir volume {name:?} exceeds the limit {:?}. ", limit.0);
    let told = if is_memory(source) { watch::Sender::new(None) } else { exceeded.clone() };
    Some(Bound::new(bytes, message, told))
}

/// The bound of all that a Pod stores, if any container has a limit: they are added up, as a kubelet does.
pub(super) fn pod_bound(pod: &Pod, exceeded: &watch::Sender<Option<String>>) -> Option<Arc<Bound>> {
    let spec = pod.spec.as_ref()?;
    let limits = |containers: &[Container]| containers.iter().filter_map(limit).collect::<Vec<u64>>();
    let main = limits(&spec.containers);
    let init = limits(spec.init_containers.as_deref().unwrap_or_default());
    let most = main.iter().sum::<u64>().max(init.iter().copied().max().unwrap_or(0));
    let message =
        format!("Pod ephemeral local storage usage exceeds the total limit of containers {}. ", in_bytes(most));
    (most > 0).then(|| Bound::new(most, message, exceeded.clone()))
}

/// What a container may store, in bytes.
pub(super) fn limit(container: &Container) -> Option<u64> {
    container.resources.as_ref()?.limits.as_ref()?.get(STORAGE).and_then(quantity::units)
}

/// What a container is said to have exceeded.
pub(super) fn container_message(container: &Container, limit: u64) -> String {
    let name = &container.name;
    format!("Container {name} exceeded its local ephemeral storage limit {:?}. ", in_bytes(limit))
}

/// Bytes as Kubernetes writes a quantity of them.
fn in_bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["", "Ki", "Mi", "Gi", "Ti", "Pi"];
    let mut unit = 0;
    let mut amount = bytes;
    while amount > 0 && amount.is_multiple_of(1024) && unit + 1 < UNITS.len() {
        amount /= 1024;
        unit += 1;
    }
    format!("{amount}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_full_volume_is_told_where_a_kubelet_evicts() {
        for (medium, evicts) in [("", true), ("Memory", false)] {
            let exceeded = watch::Sender::new(None);
            let source = json!({"medium": medium, "sizeLimit": "1Mi"});
            let bound = bound("cache", &serde_json::from_value(source).unwrap(), &exceeded).unwrap();
            assert!(bound.take(1 << 20) && !bound.take(2 << 20));
            let message = "Usage of EmptyDir volume \"cache\" exceeds the limit \"1Mi\". ";
            assert_eq!(exceeded.borrow().as_deref(), evicts.then_some(message), "{medium:?}");
        }
    }

    #[test]
    fn limits_are_added_up_and_named() {
        let container = |limit: &str| json!({"name": "c", "resources": {"limits": {STORAGE: limit}}});
        let pod: Pod = serde_json::from_value(json!({"spec": {
            "initContainers": [container("3Gi")], "containers": [container("1Gi"), container("512Mi"), {"name": "d"}]}}))
        .unwrap();
        let exceeded = watch::Sender::new(None);
        let bound = pod_bound(&pod, &exceeded).unwrap();
        bound.check(3 << 30);
        assert_eq!(*exceeded.borrow(), None);
        bound.check((3 << 30) + 1);
        let message = "Pod ephemeral local storage usage exceeds the total limit of containers 3Gi. ";
        assert_eq!(exceeded.borrow().as_deref(), Some(message));
        assert!(pod_bound(&Pod::default(), &exceeded).is_none());
        assert_eq!((in_bytes(1536 << 20), in_bytes(1000)), ("1536Mi".to_owned(), "1000".to_owned()));
    }
}
