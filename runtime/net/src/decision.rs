//! The one place that every flow of a workload passes before a byte of it moves.

mod complaints;
mod denials;
mod own;

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::{NetworkError, Workload};
use complaints::Complaints;
use denials::Denials;
pub use denials::{Denial, Denied, Direction, Reason};
pub use own::OwnAddresses;

/// What carries a flow. A request of HTTP is a flow of TCP, however it gets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// A connection.
    Tcp,
    /// A datagram.
    Udp,
}

impl Protocol {
    const ALL: [Protocol; 2] = [Protocol::Tcp, Protocol::Udp];
}

/// In lower case, as metrics have it.
impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// One end of a flow.
#[derive(Clone, Copy, Debug)]
pub enum Party<'a> {
    /// A workload of this network.
    Workload(&'a Workload),
    /// Anything else, at its address.
    Outside(IpAddr),
}

/// Who wants to reach whom.
#[derive(Clone, Copy, Debug)]
pub struct Flow<'a> {
    /// What carries it.
    pub protocol: Protocol,
    /// Who begins it.
    pub from: Party<'a>,
    /// Who is to be reached: where the flow really goes, once a Service's address has become an endpoint's.
    pub to: Party<'a>,
    /// The port there.
    pub port: u16,
    /// Whether it answers a datagram that was let pass, and so belongs to that flow.
    pub is_answer: bool,
}

/// Something that may forbid flows.
pub trait Rule: Send + Sync + 'static {
    /// Lets the flow pass, or says why not.
    ///
    /// # Errors
    /// The [`Denial`], if the flow is forbidden.
    fn decide(&self, flow: &Flow<'_>) -> Result<(), Denial>;
}

/// Decides flows: one passes if every rule lets it.
pub struct DecisionPoint {
    rules: Vec<Box<dyn Rule>>,
    denials: Denials,
    complaints: Complaints,
}

/// Proof that a flow was decided. Whoever opens a way asks for one, and only a [`DecisionPoint`] gives it.
#[derive(Debug)]
pub struct Passed(());

impl DecisionPoint {
    /// A decision point that keeps these rules.
    pub fn new(rules: Vec<Box<dyn Rule>>) -> DecisionPoint {
        DecisionPoint { rules, denials: Denials::default(), complaints: Complaints::default() }
    }

    /// Decides one flow; one that is denied is counted and logged.
    ///
    /// # Errors
    /// [`NetworkError::AccessDenied`], with the first rule's words.
    pub fn decide(&self, flow: &Flow<'_>) -> Result<Passed, NetworkError> {
        match self.rules.iter().try_for_each(|rule| rule.decide(flow)) {
            Ok(()) => Ok(Passed(())),
            Err(denial) => Err(self.deny(flow, denial)),
        }
    }

    /// Denies a flow for a reason that is no rule's; it is counted and logged as any other.
    pub fn deny(&self, flow: &Flow<'_>, denial: Denial) -> NetworkError {
        self.note(flow, &denial);
        NetworkError::AccessDenied(denial.why)
    }

    /// Flows that were denied so far, of every kind.
    pub fn denied(&self) -> Vec<Denied> {
        self.denials.all()
    }

    fn note(&self, flow: &Flow<'_>, denial: &Denial) {
        self.denials.add(flow.protocol, denial);
        if let Some(unsaid) = self.complaints.may_speak(flow.from, Instant::now()) {
            let (from, to, Denial { direction, reason, why }) = (name(flow.from), name(flow.to), denial);
            let (protocol, port) = (flow.protocol, flow.port);
            tracing::warn!(from, to, port, %protocol, %direction, %reason, why, unsaid, "denied a flow");
        }
    }
}

fn name(party: Party<'_>) -> String {
    match party {
        Party::Workload(workload) => format!("{}/{}", workload.namespace, workload.name),
        Party::Outside(ip) => ip.to_string(),
    }
}

/// Keeps workloads away from the host and from addresses that mean no single machine. It is the least that a
/// [`DecisionPoint`] has to keep; all other flows it lets pass.
#[derive(Default)]
pub struct HostShield {
    exceptions: Vec<(Protocol, SocketAddr)>,
    own: OwnAddresses,
}

impl HostShield {
    /// A shield with doors: places of the host that workloads may reach nevertheless, such as the cluster's API.
    pub fn except(exceptions: Vec<(Protocol, SocketAddr)>) -> HostShield {
        HostShield { exceptions, own: OwnAddresses::default() }
    }
}

impl Rule for HostShield {
    fn decide(&self, flow: &Flow<'_>) -> Result<(), Denial> {
        let Party::Outside(ip) = flow.to else { return Ok(()) };
        // A client on the host that came in by one of its ports may be answered there.
        if flow.is_answer {
            return Ok(());
        }
        let ip = ip.to_canonical();
        if self.exceptions.contains(&(flow.protocol, SocketAddr::new(ip, flow.port))) {
            return Ok(());
        }
        let kind = match forbidden(ip) {
            Some(kind) => kind,
            None if self.own.contains(ip, Instant::now()) => "an address of the node",
            None => return Ok(()),
        };
        Err(Denial { direction: Direction::Egress, reason: Reason::Shield, why: format!("{ip} is {kind}") })
    }
}

/// What makes the address one that nobody may reach, if anything does.
fn forbidden(ip: IpAddr) -> Option<&'static str> {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    match ip {
        _ if ip.is_unspecified() => Some("the unspecified address"),
        _ if ip.is_loopback() => Some("the node's loopback"),
        _ if link_local => Some("link-local"),
        _ if ip.is_multicast() => Some("a multicast address"),
        IpAddr::V4(ip) if ip.is_broadcast() => Some("the broadcast address"),
        // 0.0.0.0/8 is "this network"; Linux takes some of it for the host itself.
        IpAddr::V4(ip) if ip.octets()[0] == 0 => Some("an address of this host"),
        // Addresses that hold an IPv4 address may be translated back on the way: the host's must not hide in them.
        IpAddr::V6(ip) => embedded(ip).and_then(|ip| forbidden(ip.into())),
        IpAddr::V4(_) => None,
    }
}

/// The IPv4 address in an IPv4-compatible, NAT64 or 6to4 address.
fn embedded(ip: std::net::Ipv6Addr) -> Option<std::net::Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = ip.segments();
    let of = |high: u16, low: u16| std::net::Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => Some(of(high, low)),
        [0x2002, ..] => Some(of(b, c)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
