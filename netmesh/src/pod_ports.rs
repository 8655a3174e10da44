//! The ports of the host that this node's Pods have. Pure: changes go in, effects come out.

use std::collections::{BTreeSet, HashMap};

use crate::objects::{HostPort, HostPorts};
use crate::table::ObjectName;

/// What became known of a Pod of this node.
#[derive(Debug, Clone)]
pub(crate) enum PodChange {
    Pod(HostPorts),
    Gone(ObjectName),
}

/// What the host has to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PodEffect {
    Open(HostPorts, HostPort),
    Close(ObjectName, HostPort),
}

/// The current truth about the ports of the host that Pods have.
#[derive(Default)]
pub(crate) struct PodPorts {
    pods: HashMap<ObjectName, HostPorts>,
}

impl PodPorts {
    /// A Pod that is another one by now has none of the former's ports.
    pub(crate) fn apply(&mut self, change: PodChange) -> Vec<PodEffect> {
        let (name, new) = match change {
            PodChange::Pod(new) => (new.name.clone(), Some(new).filter(|pod| !pod.ports.is_empty())),
            PodChange::Gone(name) => (name, None),
        };
        let old = self.pods.remove(&name);
        let of = |pod: &Option<HostPorts>, uid: Option<&str>| match pod {
            Some(pod) if uid == Some(&*pod.uid) => pod.ports.clone(),
            _ => BTreeSet::new(),
        };
        let uid = |pod: &Option<HostPorts>| pod.as_ref().map(|pod| pod.uid.to_string());
        let (kept_of_old, kept_of_new) = (of(&old, uid(&new).as_deref()), of(&new, uid(&old).as_deref()));
        let closed = old.iter().flat_map(|pod| pod.ports.iter()).filter(|port| !kept_of_new.contains(port));
        let closed = closed.map(|port| PodEffect::Close(name.clone(), *port));
        let opened = new.iter().flat_map(|pod| pod.ports.iter().map(move |port| (pod, port)));
        let opened = opened.filter(|(_, port)| !kept_of_old.contains(port));
        let effects = closed.chain(opened.map(|(pod, port)| PodEffect::Open(pod.clone(), *port))).collect();
        self.pods.extend(new.map(|pod| (name, pod)));
        effects
    }
}

#[cfg(test)]
mod tests {
    use carob_net::Protocol;

    use super::*;

    fn port(number: u16, to: &str) -> HostPort {
        HostPort { protocol: Protocol::Tcp, ip: None, number, to: to.parse().unwrap() }
    }

    fn pod(uid: &str, ports: &[HostPort]) -> PodChange {
        let name = ObjectName { namespace: "default".into(), name: "web".into() };
        PodChange::Pod(HostPorts { name, uid: uid.into(), ports: ports.iter().copied().collect() })
    }

    fn told(ports: &mut PodPorts, change: PodChange) -> Vec<String> {
        let told = |effect| match effect {
            PodEffect::Open(pod, port) => format!("+{} {} {}", pod.uid, port.number, port.to),
            PodEffect::Close(_, port) => format!("-{} {}", port.number, port.to),
        };
        ports.apply(change).into_iter().map(told).collect()
    }

    #[test]
    fn ports_come_and_go_with_their_pod_and_with_its_address() {
        let (one, two, moved) = (port(80, "10.244.0.2:8080"), port(81, "10.244.0.2:81"), port(80, "10.244.0.3:8080"));
        let mut ports = PodPorts::default();
        assert_eq!(told(&mut ports, pod("a", &[])), [""; 0], "it has no address yet");
        assert_eq!(told(&mut ports, pod("a", &[one, two])), ["+a 80 10.244.0.2:8080", "+a 81 10.244.0.2:81"]);
        assert_eq!(told(&mut ports, pod("a", &[one, two])), [""; 0]);
        assert_eq!(
            told(&mut ports, pod("a", &[moved])),
            ["-80 10.244.0.2:8080", "-81 10.244.0.2:81", "+a 80 10.244.0.3:8080"]
        );
        assert_eq!(told(&mut ports, pod("b", &[moved])), ["-80 10.244.0.3:8080", "+b 80 10.244.0.3:8080"]);
        let name = ObjectName { namespace: "default".into(), name: "web".into() };
        assert_eq!(told(&mut ports, PodChange::Gone(name.clone())), ["-80 10.244.0.3:8080"]);
        assert_eq!(told(&mut ports, PodChange::Gone(name)), [""; 0]);
        assert!(ports.pods.is_empty());
    }
}
