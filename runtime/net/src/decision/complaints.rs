use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Party;

/// Lines about one workload that may follow each other at once.
const AT_ONCE: u32 = 10;
/// How often as many again.
const PERIOD: Duration = Duration::from_secs(10);
/// Workloads that are told apart; whoever comes beside them in the same period shares with all others.
const MOST: usize = 1024;

/// Keeps a workload that tries forbidden things without end from filling the log, and from hiding what others try.
#[derive(Default)]
pub(crate) struct Complaints {
    by_speaker: Mutex<HashMap<String, State>>,
}

struct State {
    since: Instant,
    said: u32,
    unsaid: u64,
}

impl Complaints {
    /// Whether there may be a line about a flow from there now; if so, how many there were not before it.
    pub(crate) fn may_speak(&self, from: Party<'_>, now: Instant) -> Option<u64> {
        let mut all = self.by_speaker.lock();
        let mut speaker = speaker(from);
        if all.len() >= MOST && !all.contains_key(&speaker) {
            all.retain(|_, state| now.duration_since(state.since) < PERIOD);
            if all.len() >= MOST {
                speaker.clear();
            }
        }
        all.entry(speaker).or_insert(State { since: now, said: 0, unsaid: 0 }).may_speak(now)
    }
}

/// Those outside have too many addresses to be told apart.
fn speaker(from: Party<'_>) -> String {
    match from {
        Party::Workload(workload) => format!("{}/{}", workload.namespace, workload.name),
        Party::Outside(_) => String::new(),
    }
}

impl State {
    fn may_speak(&mut self, now: Instant) -> Option<u64> {
        if now.duration_since(self.since) >= PERIOD {
            (self.since, self.said) = (now, 0);
        }
        if self.said == AT_ONCE {
            self.unsaid += 1;
            return None;
        }
        self.said += 1;
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Workload;

    fn workload(name: &str) -> Workload {
        Workload {
            namespace: "default".into(),
            name: name.into(),
            addresses: vec![],
            hosts: vec![],
            names: Default::default(),
        }
    }

    #[test]
    fn some_lines_at_once_and_then_a_count_for_each_workload() {
        let (complaints, start) = (Complaints::default(), Instant::now());
        let (loud, quiet) = (workload("loud"), workload("quiet"));
        let by = |workload, at| complaints.may_speak(Party::Workload(workload), at);
        let spoken = (0..1000).filter(|_| by(&loud, start).is_some()).count();
        assert_eq!(spoken, AT_ONCE as usize);
        assert_eq!(by(&quiet, start), Some(0), "it is not drowned out");
        assert_eq!(by(&loud, start + PERIOD), Some(1000 - u64::from(AT_ONCE)));
        assert_eq!(by(&loud, start + PERIOD), Some(0));
    }

    #[test]
    fn no_more_than_so_many_are_told_apart() {
        let (complaints, start) = (Complaints::default(), Instant::now());
        let spoken = (0..2 * MOST).filter(|n| {
            (0..2).all(|_| complaints.may_speak(Party::Workload(&workload(&n.to_string())), start).is_some())
        });
        assert!(spoken.count() <= MOST + AT_ONCE as usize);
        assert!(complaints.by_speaker.lock().len() <= MOST + 1);
        complaints.may_speak(Party::Workload(&workload("later")), start + PERIOD);
        assert_eq!(complaints.by_speaker.lock().len(), 1, "those of before are forgotten");
    }
}
