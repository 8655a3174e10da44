//! What volumes of medium `Memory` take of the memory of their Pod and node.
//!
//! - A Pod's containers and its memory volumes together hold at most what the Pod may use: the sum of the limits of its
//!   containers, if each has one. That is also how much a volume without a `sizeLimit` may hold.
//! - The containers and memory volumes of all Pods together hold at most what is allocatable of the node.
//!
//! A write that does not fit fails, as on a full disk, and the Pod goes on; a container that would grow into what its Pod's
//! volumes have taken is killed, as OOMKilled. (A kernel counts what a container has written as that container's memory, and
//! kills it for either. Here nobody knows any more who has written what.)

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use carob_engine::{MemoryGroup, Quota};
use k8s_openapi::api::core::v1::{Container, Pod};
use parking_lot::Mutex;

use super::usage;
use crate::pods::{PodExt, PodTable, PodView};
use crate::quantity;

/// Bytes that are given out before containers and folders are looked at again.
const AHEAD: u64 = 1 << 20;

/// What all memory volumes of a node hold.
pub(crate) struct NodeMemory {
    table: PodTable,
    allocatable: u64,
    /// By the Pod's UID, as it was found at its last look.
    held: Mutex<HashMap<String, u64>>,
}

impl NodeMemory {
    pub(crate) fn new(table: PodTable, allocatable: u64) -> Arc<NodeMemory> {
        Arc::new(NodeMemory { table, allocatable, held: Mutex::default() })
    }

    /// What is left of the node after all containers and memory volumes.
    fn left(&self) -> u64 {
        let containers: u64 = self.table.all().iter().map(|view| of_containers(view)).sum();
        let volumes: u64 = self.held.lock().values().sum();
        self.allocatable.saturating_sub(containers + volumes)
    }
}

/// The memory volumes of one Pod.
pub(super) struct PodMemory {
    node: Arc<NodeMemory>,
    uid: String,
    /// The Pod's containers and these volumes.
    group: MemoryGroup,
    /// What the node lets them take before the next look.
    given: Mutex<u64>,
}

impl PodMemory {
    /// All of them are in `folder`.
    pub(super) fn new(node: Arc<NodeMemory>, pod: &Pod, folder: PathBuf) -> Arc<PodMemory> {
        let group = MemoryGroup::new(limit(pod), move || usage::of(&folder).bytes);
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        Arc::new(PodMemory { node, uid, group, given: Mutex::new(0) })
    }

    pub(super) fn group(&self) -> &MemoryGroup {
        &self.group
    }

    /// What the Pod may use has changed.
    pub(super) fn set_limit(&self, pod: &Pod) {
        self.group.set_limit(limit(pod));
    }

    /// Looks how much they hold. It blocks.
    pub(super) fn look(&self) {
        self.node.held.lock().insert(self.uid.clone(), self.group.look());
    }
}

impl Quota for PodMemory {
    fn take(&self, bytes: u64) -> bool {
        let mut given = self.given.lock();
        if *given < bytes {
            self.look();
            *given = self.node.left().min(bytes.max(AHEAD));
        }
        let Some(rest) = given.checked_sub(bytes) else { return false };
        let fits = self.group.take(bytes);
        if fits {
            *given = rest;
        }
        fits
    }
}

impl Drop for PodMemory {
    fn drop(&mut self) {
        self.node.held.lock().remove(&self.uid);
    }
}

fn of_containers(view: &PodView) -> u64 {
    view.containers.iter().filter_map(|brief| brief.running.as_ref()).map(|running| running.usage().memory_bytes).sum()
}

/// What the containers that run together may use, if each has a limit.
fn limit(pod: &Pod) -> Option<u64> {
    let spec = pod.spec()?;
    let sidecars = spec.init_containers.iter().flatten();
    let sidecars = sidecars.filter(|one| one.restart_policy.as_deref() == Some("Always"));
    spec.containers.iter().chain(sidecars).map(limit_of).sum()
}

fn limit_of(container: &Container) -> Option<u64> {
    let limit = container.resources.as_ref()?.limits.as_ref()?.get("memory")?;
    quantity::units(limit).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::*;

    fn volumes(node: &Arc<NodeMemory>, uid: &str, dir: &std::path::Path, limits: Value) -> Arc<PodMemory> {
        let containers = json!([{"name": "c", "resources": {"limits": limits}}]);
        let pod = json!({"metadata": {"uid": uid}, "spec": {"containers": containers}});
        PodMemory::new(node.clone(), &serde_json::from_value(pod).unwrap(), dir.to_owned())
    }

    #[test]
    fn all_pods_share_what_the_node_can_give() {
        let (one_dir, other_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let node = NodeMemory::new(PodTable::default(), 10_000);
        let one = volumes(&node, "one", one_dir.path(), json!({}));
        let other = volumes(&node, "other", other_dir.path(), json!({}));
        assert!(!one.take(10_001) && one.take(9_000));
        fs::write(one_dir.path().join("f"), vec![1; 9_000]).unwrap();
        assert!(!one.take(2_000) && !other.take(2_000));
        fs::remove_file(one_dir.path().join("f")).unwrap();
        assert!(one.take(2_000), "what was removed may be written again");
        assert!(other.take(2_000));
        fs::write(one_dir.path().join("f"), vec![1; 9_000]).unwrap();
        one.look();
        drop(one);
        assert!(other.take(9_000), "what has gone is not counted");
    }

    #[test]
    fn the_volumes_of_a_pod_hold_what_it_may_use() {
        let dir = tempfile::tempdir().unwrap();
        let node = NodeMemory::new(PodTable::default(), 100_000);
        let volumes = volumes(&node, "one", dir.path(), json!({"memory": "8192"}));
        let file = dir.path().join("f");
        for _ in 0..10 {
            assert!(!volumes.take(8193) && volumes.take(8192));
            fs::write(&file, vec![1; 8192]).unwrap();
            assert!(!volumes.take(1));
            fs::remove_file(&file).unwrap();
        }
    }

    #[test]
    fn a_pod_may_use_what_its_containers_may_together_if_each_is_limited() {
        let container = |limit: &str| json!({"name": "c", "resources": {"limits": {"memory": limit}}});
        let mut sidecar = container("1Mi");
        sidecar["restartPolicy"] = json!("Always");
        let limit = |containers: Value, init: Value| {
            let pod = json!({"spec": {"containers": containers, "initContainers": init}});
            limit(&serde_json::from_value(pod).unwrap())
        };
        assert_eq!(
            limit(json!([container("2Mi"), container("3Mi")]), json!([sidecar, container("9Mi")])),
            Some(6 << 20)
        );
        assert_eq!(limit(json!([container("2Mi"), {"name": "d"}]), json!([])), None);
    }
}
