//! How fast lost nodes may lose their Pods. Pure: what is known of the nodes and the time go in; what may be done comes out.
//!
//! As kube-controller-manager does it, with one thing more: who was heard of a while ago only is no witness against others,
//! so that a cut between the control plane and all nodes evicts nobody, whichever node's silence is noticed first.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

/// A zone in which no more than so many nodes are lost is no zone in trouble.
const FEW: usize = 2;

/// How fast Pods are evicted from nodes that are lost, in each zone. The names are kube-controller-manager's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EvictionRates {
    /// Nodes per second, while a zone is well.
    pub node_eviction_rate: f64,
    /// Nodes per second in a large zone that is unhealthy; in a small one it is none.
    pub secondary_node_eviction_rate: f64,
    /// From this share of lost nodes on, three at least, a zone is unhealthy.
    pub unhealthy_zone_threshold: f64,
    /// A zone with more nodes is large.
    pub large_cluster_size_threshold: usize,
}

impl Default for EvictionRates {
    /// A node in ten seconds; none in a small zone of which 55 % are lost; one in 100 seconds if it has more than 50 nodes.
    fn default() -> Self {
        Self {
            node_eviction_rate: 0.1,
            secondary_node_eviction_rate: 0.01,
            unhealthy_zone_threshold: 0.55,
            large_cluster_size_threshold: 50,
        }
    }
}

/// What is known of one node.
pub(crate) struct Seen {
    pub(crate) zone: String,
    /// What it says of itself; nothing when it has been silent.
    pub(crate) is_ready: Option<bool>,
    pub(crate) silent_for: Duration,
}

impl Seen {
    pub(crate) fn is_lost(&self, grace: Duration) -> bool {
        self.is_ready != Some(true) || self.silent_for >= grace
    }
}

/// What is known of all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    zones: HashMap<String, Zone>,
    /// Somebody is well and was heard of just now.
    has_witness: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Zone {
    nodes: usize,
    lost: usize,
}

impl Survey {
    pub(crate) fn of(nodes: impl Iterator<Item = Seen>, grace: Duration) -> Self {
        let mut survey = Self::default();
        for node in nodes {
            let is_lost = node.is_lost(grace);
            let zone = survey.zones.entry(node.zone).or_default();
            zone.nodes += 1;
            zone.lost += usize::from(is_lost);
            // Heartbeats come several times in a grace period. Who is cut off together with another is silent for as
            // long but for one heartbeat.
            survey.has_witness |= !is_lost && node.silent_for < grace / 2;
        }
        survey
    }

    fn all_are_lost(&self) -> bool {
        self.zones.values().all(|zone| zone.lost == zone.nodes)
    }
}

/// What may be done to the Pods of a lost node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Eviction {
    /// They are evicted.
    Go,
    /// Nothing is begun, and nothing that has begun is taken back; look again after this.
    Hold(Duration),
    /// What has begun is taken back: it is we who are cut off.
    Stop,
}

/// What has been evicted, and when.
pub(crate) struct Evictions {
    rates: EvictionRates,
    grace: Duration,
    /// When a zone had its last one.
    last: HashMap<String, Instant>,
    begun: HashSet<String>,
    all_were_lost: bool,
    /// When the first came back after all were lost: from then on all others have the grace period once more.
    reunited: Option<Instant>,
}

impl Evictions {
    pub(crate) fn new(rates: EvictionRates, grace: Duration) -> Self {
        let (last, begun) = (HashMap::new(), HashSet::new());
        Self { rates, grace, last, begun, all_were_lost: false, reunited: None }
    }

    /// The node is well, or gone: should it ever be lost again, it takes its turn.
    pub(crate) fn forget(&mut self, node: &str) {
        self.begun.remove(node);
    }

    /// Decides for a node that is lost.
    pub(crate) fn decide(&mut self, name: &str, node: &Seen, survey: &Survey, now: Instant) -> Eviction {
        if survey.all_are_lost() {
            self.all_were_lost = true;
            self.begun.clear();
            return Eviction::Stop;
        }
        if std::mem::take(&mut self.all_were_lost) {
            self.reunited = Some(now);
        }
        if self.begun.contains(name) {
            return Eviction::Go;
        }
        if let Some(left) = self.may_yet_speak(node, now) {
            return Eviction::Hold(left);
        }
        if !survey.has_witness {
            return Eviction::Hold(self.soon());
        }
        self.take_turn(name, &node.zone, survey, now)
    }

    /// How long a silent node has left, since there was anybody at all to hear of.
    fn may_yet_speak(&self, node: &Seen, now: Instant) -> Option<Duration> {
        let has_spoken = node.is_ready == Some(false) && node.silent_for < self.grace;
        let silent = self.reunited.map_or(node.silent_for, |reunited| node.silent_for.min(now - reunited));
        self.grace.checked_sub(silent).filter(|left| !has_spoken && !left.is_zero())
    }

    fn take_turn(&mut self, name: &str, zone: &str, survey: &Survey, now: Instant) -> Eviction {
        let rate = self.rate(survey.zones.get(zone).copied().unwrap_or_default());
        let Ok(between) = Duration::try_from_secs_f64(rate.recip()) else { return Eviction::Hold(self.soon()) };
        let next = self.last.get(zone).map(|last| *last + between);
        if let Some(next) = next.filter(|next| *next > now) {
            return Eviction::Hold((next - now).min(self.soon()));
        }
        self.last.insert(zone.to_owned(), now);
        self.begun.insert(name.to_owned());
        Eviction::Go
    }

    /// Nodes per second.
    fn rate(&self, zone: Zone) -> f64 {
        let share = zone.lost as f64 / zone.nodes as f64;
        let is_partly_lost = zone.lost > FEW && zone.lost < zone.nodes && share >= self.rates.unhealthy_zone_threshold;
        match is_partly_lost {
            false => self.rates.node_eviction_rate,
            true if zone.nodes > self.rates.large_cluster_size_threshold => self.rates.secondary_node_eviction_rate,
            true => 0.0,
        }
    }

    /// When something may be different.
    fn soon(&self) -> Duration {
        self.grace / 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(40);

    fn seen(zone: &str, silent: u64) -> Seen {
        Seen { zone: zone.to_owned(), is_ready: Some(true), silent_for: Duration::from_secs(silent) }
    }

    /// Nodes of one zone: how many there are of each silence.
    fn survey(nodes: &[(usize, u64)]) -> Survey {
        let all = nodes.iter().flat_map(|(count, silent)| std::iter::repeat_n(*silent, *count));
        Survey::of(all.map(|silent| seen("z", silent)), GRACE)
    }

    fn evictions() -> Evictions {
        Evictions::new(EvictionRates::default(), GRACE)
    }

    #[test]
    fn one_node_goes_at_once_and_the_next_in_its_turn() {
        let (mut evictions, now) = (evictions(), Instant::now());
        let survey = survey(&[(8, 1), (2, 40)]);
        let after = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(evictions.decide("a", &seen("z", 40), &survey, now), Eviction::Go);
        assert_eq!(evictions.decide("b", &seen("z", 40), &survey, now), Eviction::Hold(GRACE / 8));
        assert_eq!(evictions.decide("b", &seen("z", 47), &survey, after(7)), Eviction::Hold(Duration::from_secs(3)));
        assert_eq!(evictions.decide("a", &seen("z", 47), &survey, after(7)), Eviction::Go, "it has begun");
        assert_eq!(evictions.decide("b", &seen("z", 50), &survey, after(10)), Eviction::Go);
        evictions.forget("a");
        assert!(matches!(evictions.decide("a", &seen("z", 41), &survey, after(11)), Eviction::Hold(_)));
    }

    #[test]
    fn zones_take_turns_of_their_own() {
        let (mut evictions, now) = (evictions(), Instant::now());
        let nodes = ["z", "z", "y", "y"].into_iter().zip([1, 40, 1, 40]);
        let survey = Survey::of(nodes.map(|(zone, silent)| seen(zone, silent)), GRACE);
        for zone in ["z", "y"] {
            assert_eq!(evictions.decide(zone, &seen(zone, 40), &survey, now), Eviction::Go);
        }
    }

    #[test]
    fn an_unhealthy_zone_is_left_alone_or_goes_slowly() {
        let rate = |nodes: usize, lost: usize| evictions().rate(Zone { nodes, lost });
        let cases = [
            (3, 1, 0.1),
            // Two are few.
            (3, 2, 0.1),
            (4, 3, 0.0),
            (50, 28, 0.0),
            (50, 27, 0.1),
            (51, 40, 0.01),
            // A zone that is lost as a whole is lost, while others are well.
            (4, 4, 0.1),
        ];
        for (nodes, lost, expected) in cases {
            assert_eq!(rate(nodes, lost), expected, "{lost} of {nodes}");
        }
        let (mut evictions, now) = (evictions(), Instant::now());
        assert_eq!(evictions.decide("a", &seen("z", 40), &survey(&[(1, 1), (3, 40)]), now), Eviction::Hold(GRACE / 8));
    }

    #[test]
    fn a_cut_that_is_noticed_of_one_node_after_the_other_evicts_nobody() {
        let (mut evictions, now) = (evictions(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        let first = evictions.decide("a", &seen("z", 40), &survey(&[(1, 40), (2, 31)]), now);
        assert_eq!(first, Eviction::Hold(GRACE / 8), "nobody has been heard of lately");
        let then = evictions.decide("a", &seen("z", 50), &survey(&[(1, 50), (2, 41)]), after(10));
        assert_eq!(then, Eviction::Stop);
        let healed = survey(&[(1, 0), (1, 60), (1, 51)]);
        assert_eq!(evictions.decide("a", &seen("z", 60), &healed, after(20)), Eviction::Hold(GRACE));
        assert_eq!(evictions.decide("b", &seen("z", 81), &healed, after(50)), Eviction::Hold(GRACE / 4));
        assert_eq!(evictions.decide("b", &seen("z", 91), &healed, after(60)), Eviction::Go);
    }
}
