//! Pure: what was found in a namespace that is being deleted says what stands in its status, and what is next.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub(crate) const FINALIZER: &str = "kubernetes";
/// Remaining objects are looked for again after this time at the latest.
const LONGEST: Duration = Duration::from_secs(5);
const SHORTEST: Duration = Duration::from_millis(100);

/// What one round of deletions found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Round {
    /// Why the kinds could not be found out.
    pub(crate) discovery_failure: Option<String>,
    /// What could not be deleted, and why.
    pub(crate) failures: Vec<String>,
    /// How many objects of each kind (`pods.`, `deployments.apps`) remain.
    pub(crate) remaining: BTreeMap<String, usize>,
    /// How many remaining objects have each finalizer.
    pub(crate) finalizers: BTreeMap<String, usize>,
}

/// What to do after a round.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) conditions: Vec<NamespaceCondition>,
    /// Nothing is left: give the namespace free.
    pub(crate) finalize: bool,
    /// Otherwise look again after this time.
    pub(crate) look_again: Duration,
}

/// Plans what follows a round, the `attempt`th in a row.
pub(crate) fn plan(namespace: &Namespace, round: &Round, attempt: u32, now: Timestamp) -> Plan {
    let present = namespace.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let is_empty = round.remaining.is_empty() && round.failures.is_empty() && round.discovery_failure.is_none();
    let conditions = wanted(round)
        .into_iter()
        .map(|(type_, reason, message, bad)| condition(&present, type_, reason, message, bad, now))
        .collect();
    let look_again = SHORTEST.saturating_mul(1 << attempt.min(8)).min(LONGEST);
    Plan { conditions, finalize: is_empty, look_again }
}

/// Type, reason and message of each condition, and whether it is in the way.
fn wanted(round: &Round) -> Vec<(&'static str, &'static str, String, bool)> {
    let discovery = match &round.discovery_failure {
        Some(failure) => ("DiscoveryFailed", failure.clone(), true),
        None => ("ResourcesDiscovered", "All resources successfully discovered".to_owned(), false),
    };
    let parsing = ("ParsedGroupVersions", "All legacy kube types successfully parsed".to_owned(), false);
    let content = match round.failures.is_empty() {
        false => (
            "ContentDeletionFailed",
            format!(
                "Failed to delete all resource types, {} remaining: {}",
                round.failures.len(),
                round.failures.join(", ")
            ),
            true,
        ),
        true => {
            ("ContentDeleted", "All content successfully deleted, may be waiting on finalization".to_owned(), false)
        }
    };
    let remaining = match round.remaining.is_empty() {
        false => (
            "SomeResourcesRemain",
            format!("Some resources are remaining: {}", listed(&round.remaining, "has", "resource instances")),
            true,
        ),
        true => ("ContentRemoved", "All content successfully removed".to_owned(), false),
    };
    let finalizers = match round.finalizers.is_empty() {
        false => (
            "SomeFinalizersRemain",
            format!(
                "Some content in the namespace has finalizers remaining: {}",
                listed(&round.finalizers, "in", "resource instances")
            ),
            true,
        ),
        true => ("ContentHasNoFinalizers", "All content-preserving finalizers finished".to_owned(), false),
    };
    let types = [
        "NamespaceDeletionDiscoveryFailure",
        "NamespaceDeletionGroupVersionParsingFailure",
        "NamespaceDeletionContentFailure",
        "NamespaceContentRemaining",
        "NamespaceFinalizersRemaining",
    ];
    let all = [discovery, parsing, content, remaining, finalizers];
    types.into_iter().zip(all).map(|(type_, (reason, message, bad))| (type_, reason, message, bad)).collect()
}

fn listed(counts: &BTreeMap<String, usize>, verb: &str, what: &str) -> String {
    let parts: Vec<_> = counts.iter().map(|(name, count)| format!("{name} {verb} {count} {what}")).collect();
    parts.join(", ")
}

fn condition(
    present: &[NamespaceCondition],
    type_: &str,
    reason: &str,
    message: String,
    bad: bool,
    now: Timestamp,
) -> NamespaceCondition {
    let status = if bad { "True" } else { "False" };
    let same = present.iter().find(|condition| condition.type_ == type_ && condition.status == status);
    NamespaceCondition {
        type_: type_.into(),
        status: status.into(),
        reason: Some(reason.into()),
        message: Some(message),
        last_transition_time: same.and_then(|same| same.last_transition_time.clone()).or(Some(Time(now))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_given_free_only_when_nothing_is_left_and_nothing_failed() {
        let pods = BTreeMap::from([("pods.".to_owned(), 2)]);
        let cases = [
            (Round::default(), true),
            (Round { remaining: pods, ..Round::default() }, false),
            (Round { failures: vec!["no".into()], ..Round::default() }, false),
            (Round { discovery_failure: Some("no".into()), ..Round::default() }, false),
        ];
        for (round, finalize) in cases {
            assert_eq!(plan(&Namespace::default(), &round, 0, Timestamp::UNIX_EPOCH).finalize, finalize, "{round:?}");
        }
    }

    #[test]
    fn the_conditions_say_what_remains_and_keep_their_time() {
        let round = Round {
            remaining: BTreeMap::from([("configmaps.".into(), 1), ("pods.".into(), 2)]),
            finalizers: BTreeMap::from([("example.com/hold".into(), 1)]),
            ..Round::default()
        };
        let mut namespace = Namespace::default();
        let first = plan(&namespace, &round, 0, Timestamp::UNIX_EPOCH);
        let messages: Vec<_> =
            first.conditions.iter().filter(|c| c.status == "True").map(|c| c.message.clone().unwrap()).collect();
        assert_eq!(
            messages,
            [
                "Some resources are remaining: configmaps. has 1 resource instances, pods. has 2 resource instances",
                "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
            ]
        );
        namespace.status.get_or_insert_default().conditions = Some(first.conditions.clone());
        let later = plan(&namespace, &round, 3, Timestamp::from_second(60).unwrap());
        assert_eq!(later.conditions, first.conditions);
        assert!(later.look_again > first.look_again);
    }
}
