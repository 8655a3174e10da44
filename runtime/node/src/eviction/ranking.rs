//! Who has to go when the node runs short. Pure.

use std::cmp::Reverse;

use super::CRITICAL;

/// A Pod that could be evicted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate<T> {
    pub(crate) pod: T,
    pub(crate) priority: i32,
    /// What it asked for of what is short, and what it uses.
    pub(crate) request: u64,
    pub(crate) usage: u64,
}

/// The one that goes first: one that uses more than it asked for, before one that does not; then one of lower priority;
/// then the one that uses most above what it asked for.
pub(crate) fn first<T>(candidates: impl IntoIterator<Item = Candidate<T>>) -> Option<Candidate<T>> {
    candidates.into_iter().filter(|candidate| candidate.priority < CRITICAL).min_by_key(rank)
}

/// Less is first.
fn rank<T>(candidate: &Candidate<T>) -> (bool, i32, Reverse<i128>) {
    let above = i128::from(candidate.usage) - i128::from(candidate.request);
    (above <= 0, candidate.priority, Reverse(above))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_the_kubelets() {
        // Name, priority, request, usage; in the order in which they have to go.
        let cases: [&[(&str, i32, u64, u64)]; 5] = [
            &[("best effort", 0, 0, 10), ("within its request", 0, 100, 50)],
            &[("above, important", 100, 10, 11), ("within, unimportant", -5, 100, 100)],
            &[("above, unimportant", 0, 10, 11), ("above, important", 1, 10, 500)],
            &[("far above", 0, 100, 300), ("above", 0, 10, 150), ("a little above", 0, 200, 201)],
            &[("within, uses more of it", 0, 100, 99), ("within, uses less of it", 0, 100, 10)],
        ];
        for expected in cases {
            let mut left: Vec<_> = expected
                .iter()
                .rev()
                .map(|(pod, priority, request, usage)| Candidate {
                    pod: *pod,
                    priority: *priority,
                    request: *request,
                    usage: *usage,
                })
                .collect();
            let mut order = Vec::new();
            while let Some(next) = first(left.clone()) {
                left.retain(|candidate| candidate.pod != next.pod);
                order.push(next.pod);
            }
            assert_eq!(order, expected.iter().map(|(pod, ..)| *pod).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_the_cluster_needs_stays() {
        let critical = Candidate { pod: (), priority: CRITICAL, request: 0, usage: 1 };
        assert_eq!(first([critical]), None);
    }
}
