//! What volumes of medium `Memory` take of the memory of their Pod and node.
//!
//! - A Pod's containers and its memory volumes together hold at most what the Pod may use: the sum of the limits of its
//!   containers, if each has one. That is also how much a volume without a `sizeLimit` may hold.
//! - The containers and memory volumes of all Pods together hold at most what is allocatable of the node.
//!
//! A write that does not fit fails, as on a full disk, and the Pod goes on. A container may still grow, within its own limit,
//! into what its Pod's volumes have taken: that is found within ten seconds, and the Pod is evicted. (A kernel counts what a
//! container has written as its own memory, and kills it. Here nobody knows any more who has written what.)

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use carob_engine::Quota;
use k8s_openapi::api::core::v1::{Container, Pod};
use parking_lot::Mutex;

use super::usage;
use crate::logs::PodRef;
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
    pod: PodRef,
    /// In which all of them are.
    folder: PathBuf,
    /// What may be written before the next look.
    given: Mutex<u64>,
}

impl PodMemory {
    pub(super) fn new(node: Arc<NodeMemory>, pod: PodRef, folder: PathBuf) -> Arc<PodMemory> {
        Arc::new(PodMemory { node, pod, folder, given: Mutex::new(0) })
    }

    /// Why the Pod must go, if its containers and volumes hold more than it may.
    pub(super) fn exceeded(&self) -> Option<String> {
        let (limit, held) = self.look();
        let limit = limit.filter(|limit| held > *limit)?;
        Some(format!("Pod memory usage of containers and volumes exceeds the total limit of containers {limit}. "))
    }

    /// What the Pod may hold, and what it does.
    fn look(&self) -> (Option<u64>, u64) {
        let volumes = usage::of(&self.folder).bytes;
        self.node.held.lock().insert(self.pod.uid.clone(), volumes);
        let view = self.node.table.get(&self.pod.namespace, &self.pod.name);
        let view = view.filter(|view| view.pod.metadata.uid.as_deref() == Some(&self.pod.uid));
        let containers = view.as_deref().map_or(0, of_containers);
        (view.and_then(|view| limit(&view.pod)), volumes + containers)
    }

    fn left(&self) -> u64 {
        let (limit, held) = self.look();
        limit.map_or(u64::MAX, |limit| limit.saturating_sub(held)).min(self.node.left())
    }
}

impl Quota for PodMemory {
    fn take(&self, bytes: u64) -> bool {
        let mut given = self.given.lock();
        if *given < bytes {
            *given = self.left().min(bytes.max(AHEAD));
        }
        let rest = given.checked_sub(bytes);
        *given = rest.unwrap_or(*given);
        rest.is_some()
    }
}

impl Drop for PodMemory {
    fn drop(&mut self) {
        self.node.held.lock().remove(&self.pod.uid);
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

    fn volumes(node: &Arc<NodeMemory>, uid: &str, dir: &std::path::Path) -> Arc<PodMemory> {
        let pod = PodRef { namespace: "default".into(), name: uid.into(), uid: uid.into() };
        PodMemory::new(node.clone(), pod, dir.to_owned())
    }

    #[test]
    fn all_pods_share_what_the_node_can_give() {
        let (one_dir, other_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let node = NodeMemory::new(PodTable::default(), 10_000);
        let (one, other) = (volumes(&node, "one", one_dir.path()), volumes(&node, "other", other_dir.path()));
        assert!(!one.take(10_001) && one.take(9_000));
        fs::write(one_dir.path().join("f"), vec![1; 9_000]).unwrap();
        assert!(!one.take(2_000) && !other.take(2_000));
        fs::remove_file(one_dir.path().join("f")).unwrap();
        assert!(one.take(2_000), "what was removed may be written again");
        assert!(other.take(2_000));
        fs::write(one_dir.path().join("f"), vec![1; 9_000]).unwrap();
        assert_eq!(one.exceeded(), None, "a Pod without limits has none to exceed");
        drop(one);
        assert!(other.take(9_000), "what has gone is not counted");
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
