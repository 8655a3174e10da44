//! Decides one flow. Pure.

use std::net::IpAddr;

use carob_net::{Denial, Direction, Flow, Party, Protocol, Reason, Workload};

use super::rules::{Number, Peer, Policy, Port, Rule};
use super::state::{NamedPort, Namespace, Pod, State};
use crate::table::ObjectName;

impl State {
    /// Lets a flow pass that the policies of both its ends let pass. `is_node` says whether an address is this machine's.
    ///
    /// # Errors
    /// Which end's policies do not.
    pub(crate) fn decide(&self, flow: &Flow<'_>, is_node: impl Fn(IpAddr) -> bool) -> Result<(), Denial> {
        if flow.is_answer || is_own(flow) {
            return Ok(());
        }
        let (from, to) = (self.end(flow.from), self.end(flow.to));
        let flow = Ends { from, to, protocol: flow.protocol, port: flow.port };
        // A node reaches its own Pods and they reach it, or nothing could be probed.
        if [&flow.from, &flow.to].iter().any(|end| matches!(end, End::Outside(ip) if is_node(*ip))) {
            return Ok(());
        }
        if !self.is_complete {
            let why = "the NetworkPolicies of the cluster are not known yet".into();
            return Err(denial(Direction::Egress, why));
        }
        self.check(Direction::Egress, &flow)?;
        self.check(Direction::Ingress, &flow)
    }

    fn end<'a>(&'a self, party: Party<'a>) -> End<'a> {
        match party {
            Party::Workload(workload) => {
                let namespace = self.namespace(&workload.namespace);
                let known = namespace.and_then(|namespace| Some((namespace, namespace.pod(&workload.name)?)));
                match known {
                    Some((within, pod)) => {
                        let (namespace, name) = (&*workload.namespace, &*workload.name);
                        End::Pod(Known { namespace, name, within, pod, addresses: &workload.addresses })
                    }
                    None => End::Unknown(workload, namespace),
                }
            }
            Party::Outside(ip) => {
                let ip = ip.to_canonical();
                self.at(ip).and_then(|name| self.known(name)).map_or(End::Outside(ip), End::Pod)
            }
        }
    }

    fn known<'a>(&'a self, name: &'a ObjectName) -> Option<Known<'a>> {
        let within = self.namespace(&name.namespace)?;
        let pod = within.pod(&name.name)?;
        Some(Known { namespace: &name.namespace, name: &name.name, within, pod, addresses: &pod.facts.addresses })
    }

    fn check(&self, direction: Direction, flow: &Ends<'_>) -> Result<(), Denial> {
        match flow.subject(direction) {
            End::Outside(_) => Ok(()),
            End::Pod(known) => known.check(direction, flow),
            End::Unknown(_, None) => Ok(()),
            End::Unknown(_, Some(namespace)) if !namespace.may_isolate(direction) => Ok(()),
            // Whether a policy is for it shows in a moment.
            End::Unknown(Workload { namespace, name, .. }, _) => {
                let why = format!("{namespace}/{name} is not known yet, and its namespace has NetworkPolicies");
                Err(denial(direction, why))
            }
        }
    }
}

fn denial(direction: Direction, why: String) -> Denial {
    Denial { direction, reason: Reason::Policy, why }
}

/// A Pod is never kept from itself.
fn is_own(flow: &Flow<'_>) -> bool {
    match (flow.from, flow.to) {
        (Party::Workload(from), Party::Workload(to)) => (&from.namespace, &from.name) == (&to.namespace, &to.name),
        _ => false,
    }
}

/// A flow between ends that are known as far as they can be.
struct Ends<'a> {
    from: End<'a>,
    to: End<'a>,
    protocol: Protocol,
    port: u16,
}

enum End<'a> {
    Pod(Known<'a>),
    /// A Pod of this node that the API has not told of yet, or no more.
    Unknown(&'a Workload, Option<&'a Namespace>),
    Outside(IpAddr),
}

struct Known<'a> {
    namespace: &'a str,
    name: &'a str,
    within: &'a Namespace,
    pod: &'a Pod,
    addresses: &'a [IpAddr],
}

impl<'a> Ends<'a> {
    /// The end whose policies are asked.
    fn subject(&self, direction: Direction) -> &End<'a> {
        match direction {
            Direction::Ingress => &self.to,
            Direction::Egress => &self.from,
        }
    }

    /// The end that they name as a peer.
    fn peer(&self, direction: Direction) -> &End<'a> {
        match direction {
            Direction::Ingress => &self.from,
            Direction::Egress => &self.to,
        }
    }
}

impl Known<'_> {
    fn check(&self, direction: Direction, flow: &Ends<'_>) -> Result<(), Denial> {
        let mut isolated = false;
        for policy in self.pod.isolated_by(direction) {
            isolated = true;
            if policy.lets_pass(direction, flow) {
                return Ok(());
            }
        }
        if isolated { Err(denial(direction, self.complaint(direction))) } else { Ok(()) }
    }

    fn complaint(&self, direction: Direction) -> String {
        let names: Vec<&str> = self.pod.isolated_by(direction).map(|policy| &*policy.name.name).collect();
        let way = match direction {
            Direction::Ingress => "into",
            Direction::Egress => "out of",
        };
        let (namespace, name, names) = (self.namespace, self.name, names.join(", "));
        format!("no NetworkPolicy lets it {way} {namespace}/{name}, which is isolated by: {names}")
    }
}

impl Policy {
    fn lets_pass(&self, direction: Direction, flow: &Ends<'_>) -> bool {
        let rules = self.rules(direction).unwrap_or_default();
        rules.iter().any(|rule| rule.has_port(flow) && rule.has_peer(&self.name.namespace, flow.peer(direction)))
    }
}

impl Rule {
    fn has_port(&self, flow: &Ends<'_>) -> bool {
        self.ports.as_ref().is_none_or(|ports| ports.iter().any(|port| port.is_of(flow)))
    }

    fn has_peer(&self, namespace: &str, end: &End<'_>) -> bool {
        self.peers.as_ref().is_none_or(|peers| peers.iter().any(|peer| peer.is(namespace, end)))
    }
}

impl Port {
    fn is_of(&self, flow: &Ends<'_>) -> bool {
        self.protocol == flow.protocol
            && match &self.number {
                Number::Any => true,
                Number::Between(first, last) => (*first..=*last).contains(&flow.port),
                Number::Named(name) => flow.to.calls(flow.protocol, flow.port, name),
            }
    }
}

impl Peer {
    fn is(&self, namespace: &str, end: &End<'_>) -> bool {
        match (self, end) {
            (Peer::Block(block), end) => end.addresses().iter().any(|ip| block.contains(*ip)),
            (Peer::Pods { namespaces, pods }, End::Pod(known)) => {
                let is_there = match namespaces {
                    None => known.namespace == namespace,
                    Some(selector) => known.within.labels.as_ref().is_some_and(|labels| selector.matches(labels)),
                };
                is_there && pods.as_ref().is_none_or(|selector| selector.matches(&known.pod.facts.labels))
            }
            (Peer::Pods { .. }, End::Unknown(..) | End::Outside(_)) => false,
        }
    }
}

impl End<'_> {
    fn addresses(&self) -> &[IpAddr] {
        match self {
            End::Pod(known) => known.addresses,
            End::Unknown(workload, _) => &workload.addresses,
            End::Outside(ip) => std::slice::from_ref(ip),
        }
    }

    /// Whether the port has this name there.
    fn calls(&self, protocol: Protocol, number: u16, name: &str) -> bool {
        let End::Pod(known) = self else { return false };
        let is_it = |port: &NamedPort| port.number == number && port.protocol == protocol && port.name == name;
        known.pod.facts.ports.iter().any(is_it)
    }
}
