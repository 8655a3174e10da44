//! Which events are worth a write: the rules of Kubernetes' event correlator, as a pure state machine.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// Similar events (all but the message equal) past this number within the interval become one.
const SIMILAR: u32 = 10;
const SIMILAR_INTERVAL: Duration = Duration::from_secs(600);
/// Events about one object: a burst, then one in five minutes.
const BURST: f64 = 25.0;
const REFILL_PER_SECOND: f64 = 1.0 / 300.0;
/// More than this many remembered events: the oldest half goes.
const REMEMBERED: usize = 4096;

/// An event's identity. Two equal ones are one event that happened twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Subject {
    pub(crate) object: String,
    pub(crate) reason: String,
    pub(crate) type_: &'static str,
    pub(crate) message: String,
}

/// What to do about an event.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Write a new one, with this message.
    Create { message: String },
    /// Raise the count of the one written under this name, and let it say this.
    Repeat { name: String, count: i32, message: String },
    /// Too many: drop it.
    Drop,
}

/// Remembers what was written lately.
#[derive(Default)]
pub(crate) struct Correlator {
    written: HashMap<Subject, Written>,
    similar: HashMap<Subject, (u32, Instant)>,
    budgets: HashMap<String, (f64, Instant)>,
}

struct Written {
    name: String,
    count: i32,
    last: Instant,
}

impl Correlator {
    /// Decides about an event. For `Create`, tell [`Correlator::written`] the name it got, with the subject as it is
    /// after this call: similar events past the limit become one subject.
    pub(crate) fn judge(&mut self, subject: &mut Subject, now: Instant) -> Verdict {
        let message = self.aggregate(subject, now);
        if !self.affordable(&subject.object, now) {
            return Verdict::Drop;
        }
        match self.written.get_mut(subject) {
            Some(written) => {
                written.count += 1;
                written.last = now;
                Verdict::Repeat { name: written.name.clone(), count: written.count, message }
            }
            None => Verdict::Create { message },
        }
    }

    pub(crate) fn written(&mut self, subject: Subject, name: String, now: Instant) {
        self.written.insert(subject, Written { name, count: 1, last: now });
        self.trim();
    }

    /// The server no longer has it (events expire): the next one is a new one.
    pub(crate) fn lost(&mut self, subject: &Subject) {
        self.written.remove(subject);
    }

    /// The message to write. Too many similar ones share the subject that has no message.
    fn aggregate(&mut self, subject: &mut Subject, now: Instant) -> String {
        let group = Subject { message: String::new(), ..subject.clone() };
        let (count, since) = self.similar.entry(group).or_insert((0, now));
        if now.duration_since(*since) > SIMILAR_INTERVAL {
            (*count, *since) = (0, now);
        }
        let is_known = self.written.contains_key(subject);
        *count += u32::from(!is_known);
        if *count <= SIMILAR || is_known {
            return subject.message.clone();
        }
        format!("(combined from similar events): {}", std::mem::take(&mut subject.message))
    }

    fn affordable(&mut self, object: &str, now: Instant) -> bool {
        let (tokens, last) = self.budgets.entry(object.to_owned()).or_insert((BURST, now));
        *tokens = (*tokens + now.duration_since(*last).as_secs_f64() * REFILL_PER_SECOND).min(BURST);
        *last = now;
        if *tokens < 1.0 {
            return false;
        }
        *tokens -= 1.0;
        true
    }

    fn trim(&mut self) {
        if self.written.len() > REMEMBERED {
            let mut ages: Vec<Instant> = self.written.values().map(|written| written.last).collect();
            ages.sort_unstable();
            let median = ages[ages.len() / 2];
            self.written.retain(|_, written| written.last > median);
        }
        if self.similar.len() > REMEMBERED {
            self.similar.clear();
        }
        if self.budgets.len() > REMEMBERED {
            self.budgets.retain(|_, (tokens, _)| *tokens < BURST - 1.0);
        }
        if self.budgets.len() > REMEMBERED {
            self.budgets.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(message: &str) -> Subject {
        Subject { object: "uid".into(), reason: "Failed".into(), type_: "Warning", message: message.into() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_repeated_event_raises_the_count() {
        let mut correlator = Correlator::default();
        let now = Instant::now();
        assert_eq!(correlator.judge(&mut subject("no"), now), Verdict::Create { message: "no".into() });
        correlator.written(subject("no"), "pod.1".into(), now);
        assert_eq!(
            correlator.judge(&mut subject("no"), now),
            Verdict::Repeat { name: "pod.1".into(), count: 2, message: "no".into() }
        );
        correlator.lost(&subject("no"));
        assert_eq!(correlator.judge(&mut subject("no"), now), Verdict::Create { message: "no".into() });
    }

    #[tokio::test(start_paused = true)]
    async fn similar_events_are_combined_and_a_flood_is_dropped() {
        let mut correlator = Correlator::default();
        let now = Instant::now();
        let verdicts: Vec<_> = (0..40).map(|n| correlator.judge(&mut subject(&n.to_string()), now)).collect();
        assert_eq!(verdicts[9], Verdict::Create { message: "9".into() });
        assert_eq!(verdicts[10], Verdict::Create { message: "(combined from similar events): 10".into() });
        assert_eq!(verdicts.iter().filter(|v| **v == Verdict::Drop).count(), 15);
        let mut later = subject("later");
        assert_ne!(correlator.judge(&mut later, now + Duration::from_secs(301)), Verdict::Drop);
        assert_eq!(later.message, "", "combined events are one subject");
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded() {
        let mut correlator = Correlator::default();
        for n in 0..3 * REMEMBERED {
            let now = Instant::now() + Duration::from_millis(n as u64);
            let mut subject = Subject { object: n.to_string(), ..subject("x") };
            correlator.judge(&mut subject, now);
            correlator.written(subject, n.to_string(), now);
        }
        assert!(correlator.written.len() <= REMEMBERED + 1);
        assert!(correlator.budgets.len() <= REMEMBERED + 1 && correlator.similar.len() <= REMEMBERED + 1);
    }
}
