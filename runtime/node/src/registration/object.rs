//! The Node object, from what is known of the node.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec, NodeStatus,
    NodeSystemInfo, Taint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use crate::eviction::{Condition, Pressure, Signal, Thresholds};
use crate::ip::Cidr;
use crate::machine::Machine;
use crate::quantity::kibibytes;

/// The Node reports no more images than this; the store may hold more.
const MAX_IMAGES: usize = 50;

/// What does not change while the node runs.
pub(crate) struct NodeFacts {
    pub(crate) name: String,
    pub(crate) address: IpAddr,
    /// Where clients outside reach ports of Services and Pods, if that is another.
    pub(crate) external_address: Option<IpAddr>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) taints: Vec<Taint>,
    pub(crate) max_pods: u32,
    pub(crate) kubelet_version: String,
    pub(crate) kubelet_port: u16,
    pub(crate) machine: Machine,
    /// What Pods may ask for.
    pub(crate) allocatable: BTreeMap<String, Quantity>,
}

/// What Pods may ask for: all there is, but for what has to be left so that none is evicted.
pub(crate) fn allocatable(machine: &Machine, thresholds: &Thresholds, max_pods: u32) -> BTreeMap<String, Quantity> {
    let left = |signal, capacity: u64| capacity.saturating_sub(thresholds.reserve(signal, capacity));
    let memory = left(Signal::MemoryAvailable, machine.memory_bytes);
    amounts(machine.cpus, memory, left(Signal::NodefsAvailable, machine.disk_bytes), max_pods)
}

fn capacity(machine: &Machine, max_pods: u32) -> BTreeMap<String, Quantity> {
    amounts(machine.cpus, machine.memory_bytes, machine.disk_bytes, max_pods)
}

fn amounts(cpus: u64, memory: u64, disk: u64, pods: u32) -> BTreeMap<String, Quantity> {
    BTreeMap::from([
        ("cpu".to_owned(), Quantity(cpus.to_string())),
        ("memory".to_owned(), kibibytes(memory)),
        ("ephemeral-storage".to_owned(), kibibytes(disk)),
        ("pods".to_owned(), Quantity(pods.to_string())),
    ])
}

impl NodeFacts {
    /// The object as it is created.
    pub(crate) fn node(&self) -> Node {
        Node {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                labels: Some(self.all_labels()),
                annotations: Some(self.annotations.clone()),
                ..Default::default()
            },
            spec: Some(NodeSpec {
                taints: Some(self.taints.clone()).filter(|taints| !taints.is_empty()),
                ..NodeSpec::default()
            }),
            status: None,
        }
    }

    pub(crate) fn all_labels(&self) -> BTreeMap<String, String> {
        let own = [
            ("kubernetes.io/hostname", self.name.as_str()),
            ("kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", &self.machine.architecture),
            ("beta.kubernetes.io/os", "linux"),
            ("beta.kubernetes.io/arch", &self.machine.architecture),
        ];
        let own = own.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
        own.chain(self.labels.clone()).collect()
    }

    /// The status now. The heartbeat in its conditions is `now`; their last change is kept from `previous`.
    pub(crate) fn status(
        &self,
        pressure: Pressure,
        images: Vec<(String, u64)>,
        range: Option<Cidr>,
        previous: Option<&NodeStatus>,
        now: Timestamp,
    ) -> NodeStatus {
        let images = images.into_iter().take(MAX_IMAGES);
        // No more Pods than addresses.
        let max_pods = range.map_or(self.max_pods, |range| self.max_pods.min(range.size()));
        let mut allocatable = self.allocatable.clone();
        allocatable.insert("pods".to_owned(), Quantity(max_pods.to_string()));
        NodeStatus {
            addresses: Some(self.addresses()),
            capacity: Some(capacity(&self.machine, max_pods)),
            allocatable: Some(allocatable),
            conditions: Some(conditions(pressure, range.is_some(), previous, now)),
            daemon_endpoints: Some(NodeDaemonEndpoints {
                kubelet_endpoint: Some(DaemonEndpoint { port: self.kubelet_port.into() }),
            }),
            images: Some(
                images
                    .map(|(name, size)| ContainerImage {
                        names: Some(vec![name]),
                        size_bytes: i64::try_from(size).ok(),
                    })
                    .collect(),
            ),
            node_info: Some(self.system_info()),
            ..NodeStatus::default()
        }
    }

    fn addresses(&self) -> Vec<NodeAddress> {
        let of = |kind: &str, address: String| NodeAddress { type_: kind.to_owned(), address };
        let external = self.external_address.filter(|external| *external != self.address);
        let external = external.map(|external| of("ExternalIP", external.to_string()));
        let internal = of("InternalIP", self.address.to_string());
        [internal].into_iter().chain(external).chain([of("Hostname", self.name.clone())]).collect()
    }

    fn system_info(&self) -> NodeSystemInfo {
        NodeSystemInfo {
            architecture: self.machine.architecture.clone(),
            boot_id: self.machine.boot_id.clone(),
            // The engine's dependency: its major version is the one that the workspace declares.
            container_runtime_version: "wasmtime://48".to_owned(),
            kernel_version: self.machine.kernel.clone(),
            kube_proxy_version: self.kubelet_version.clone(),
            kubelet_version: self.kubelet_version.clone(),
            machine_id: self.machine.machine_id.clone(),
            operating_system: "linux".to_owned(),
            os_image: self.machine.os_image.clone(),
            system_uuid: self.machine.machine_id.clone(),
            ..NodeSystemInfo::default()
        }
    }
}

/// What a condition says while it holds, and while it does not: reason and message, in the kubelet's words.
fn words(condition: Condition) -> [(&'static str, &'static str); 2] {
    match condition {
        Condition::Memory => [
            ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
            ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ],
        Condition::Disk => [
            ("KubeletHasDiskPressure", "kubelet has disk pressure"),
            ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ],
        Condition::Pid => [
            ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
            ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ],
    }
}

fn conditions(
    pressure: Pressure,
    has_range: bool,
    previous: Option<&NodeStatus>,
    now: Timestamp,
) -> Vec<NodeCondition> {
    let pressures = Condition::ALL.map(|condition| {
        let [held, not_held] = words(condition);
        let (status, (reason, message)) = if pressure.has(condition) { ("True", held) } else { ("False", not_held) };
        (condition.name(), (status, reason, message))
    });
    let ready = match has_range {
        true => ("True", "KubeletReady", "kubelet is posting ready status"),
        false => ("False", "KubeletNotReady", "the cluster has not given this node a podCIDR yet"),
    };
    pressures
        .into_iter()
        .chain([("Ready", ready)])
        .map(|(type_, (status, reason, message))| {
            let before = previous.and_then(|status| status.conditions.as_ref()).into_iter().flatten();
            let before = before.into_iter().find(|before| before.type_ == type_ && before.status == status);
            NodeCondition {
                type_: type_.to_owned(),
                status: status.to_owned(),
                reason: Some(reason.to_owned()),
                message: Some(message.to_owned()),
                last_heartbeat_time: Some(Time(now)),
                last_transition_time: before.and_then(|before| before.last_transition_time.clone()).or(Some(Time(now))),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> NodeFacts {
        NodeFacts {
            name: "n1".into(),
            address: "127.0.0.1".parse().unwrap(),
            external_address: Some("192.0.2.1".parse().unwrap()),
            labels: BTreeMap::from([("zone".to_owned(), "a".to_owned())]),
            annotations: BTreeMap::from([("carob.dev/at".to_owned(), "here".to_owned())]),
            taints: vec![Taint { key: "k".into(), effect: "NoSchedule".into(), ..Taint::default() }],
            max_pods: 10_000,
            kubelet_version: "v1.37.0+carob".into(),
            kubelet_port: 10250,
            allocatable: allocatable(&machine(), &Thresholds::default(), 10_000),
            machine: machine(),
        }
    }

    fn machine() -> Machine {
        Machine {
            cpus: 2,
            memory_bytes: 1 << 30,
            disk_bytes: 10 << 30,
            architecture: "amd64".into(),
            ..Machine::default()
        }
    }

    #[test]
    fn a_node_has_its_labels_and_what_it_can_hold() {
        let facts = facts();
        let node = facts.node();
        assert_eq!(node.metadata.annotations.unwrap()["carob.dev/at"], "here");
        let labels = node.metadata.labels.unwrap();
        assert_eq!((labels["kubernetes.io/hostname"].as_str(), labels["zone"].as_str()), ("n1", "a"));
        assert_eq!(node.spec.unwrap().taints.unwrap()[0].key, "k");

        let status = facts.status(Pressure::default(), Vec::new(), None, None, Timestamp::UNIX_EPOCH);
        let ready = status.conditions.clone().unwrap().pop().unwrap();
        assert_eq!((ready.type_.as_str(), ready.status.as_str()), ("Ready", "False"), "it has no addresses yet");
        assert_eq!(status.capacity.unwrap()["memory"].0, "1048576Ki");
        let allocatable = status.allocatable.unwrap();
        assert_eq!((allocatable["memory"].0.as_str(), allocatable["pods"].0.as_str()), ("946176Ki", "10000"));
    }

    #[test]
    fn a_condition_keeps_the_time_of_its_last_change() {
        let facts = facts();
        let (start, later) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(60).unwrap());
        let first = facts.status(Pressure::default(), Vec::new(), "10.244.0.0/24".parse().ok(), None, start);
        assert_eq!(first.capacity.as_ref().unwrap()["pods"].0, "253");
        let pressed = Pressure { memory: true, ..Pressure::default() };
        let second =
            facts.status(pressed, Vec::new(), "10.244.0.0/24".parse().ok(), Some(&first), later).conditions.unwrap();
        let changed: Vec<_> = second
            .iter()
            .map(|condition| (condition.type_.as_str(), condition.last_transition_time.as_ref().unwrap().0 == later))
            .collect();
        assert_eq!(
            changed,
            [("MemoryPressure", true), ("DiskPressure", false), ("PIDPressure", false), ("Ready", false)]
        );
    }
}
