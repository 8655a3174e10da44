use std::sync::atomic::{AtomicU64, Ordering};

use super::Protocol;

/// A rule's no to a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Whose side of the flow the rule speaks for.
    pub direction: Direction,
    /// What kind of rule it is.
    pub reason: Reason,
    /// Why, in words for whoever wanted the flow.
    pub why: String,
}

/// The side of a flow on which it is denied: a flow between two workloads leaves the one and enters the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Where it enters a workload.
    Ingress,
    /// Where it leaves one.
    Egress,
}

/// What kind of rule denies a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Nobody may go there: see [`HostShield`](super::HostShield).
    Shield,
    /// A policy of the cluster's users.
    Policy,
    /// Another node sent it for an address that is not that node's to speak for.
    Forged,
}

impl Direction {
    const ALL: [Direction; 2] = [Direction::Ingress, Direction::Egress];
}

/// As NetworkPolicy spells it, in lower case.
impl std::fmt::Display for Direction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        })
    }
}

impl Reason {
    const ALL: [Reason; 3] = [Reason::Shield, Reason::Policy, Reason::Forged];
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Reason::Shield => "shield",
            Reason::Policy => "policy",
            Reason::Forged => "forged",
        })
    }
}

/// How many flows of one kind were denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied {
    /// [`Protocol::Tcp`]: connections, and requests of HTTP; [`Protocol::Udp`]: datagrams.
    pub protocol: Protocol,
    /// On which side.
    pub direction: Direction,
    /// By what kind of rule.
    pub reason: Reason,
    /// How many.
    pub flows: u64,
}

/// Counts denials of each kind.
#[derive(Default)]
pub(super) struct Denials {
    counts: [[[AtomicU64; 3]; 2]; 2],
}

impl Denials {
    pub(super) fn add(&self, protocol: Protocol, denial: &Denial) {
        self.count(protocol, denial.direction, denial.reason).fetch_add(1, Ordering::Relaxed);
    }

    /// Every kind, also those of which there were none.
    pub(super) fn all(&self) -> Vec<Denied> {
        let mut all = Vec::new();
        for protocol in Protocol::ALL {
            for direction in Direction::ALL {
                for reason in Reason::ALL {
                    let flows = self.count(protocol, direction, reason).load(Ordering::Relaxed);
                    all.push(Denied { protocol, direction, reason, flows });
                }
            }
        }
        all
    }

    fn count(&self, protocol: Protocol, direction: Direction, reason: Reason) -> &AtomicU64 {
        &self.counts[protocol as usize][direction as usize][reason as usize]
    }
}
