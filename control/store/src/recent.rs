//! The last events, in memory, so that a watcher that keeps up never reads the log.

use std::collections::VecDeque;

use crate::{Event, Revision};

/// Past this the oldest events go; a watcher that needs them reads the log instead.
const MOST_EVENTS: usize = 4096;
const MOST_BYTES: usize = 4 << 20;

/// Every event after [`Recent::from`], in order.
#[derive(Debug)]
pub(crate) struct Recent {
    from: Revision,
    events: VecDeque<Event>,
    bytes: usize,
}

impl Recent {
    pub(crate) fn starting(from: Revision) -> Self {
        Self { from, events: VecDeque::new(), bytes: 0 }
    }

    /// Adds the events of one batch, which follow all that are here.
    pub(crate) fn extend(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            self.bytes += weight(&event);
            self.events.push_back(event);
        }
        while self.events.len() > MOST_EVENTS || self.bytes > MOST_BYTES {
            self.drop_oldest();
        }
    }

    /// The events after `after`, or `None` if some of them are here no longer.
    pub(crate) fn after(&self, after: Revision) -> Option<impl Iterator<Item = &Event>> {
        (after >= self.from).then(|| {
            let first = self.events.partition_point(|event| event.revision <= after);
            self.events.range(first..)
        })
    }

    /// Drops one whole revision: half a transaction would be a gap.
    fn drop_oldest(&mut self) {
        let Some(oldest) = self.events.front().map(|event| event.revision) else { return };
        while let Some(event) = self.events.pop_front_if(|event| event.revision == oldest) {
            self.bytes -= weight(&event);
        }
        self.from = oldest;
    }
}

fn weight(event: &Event) -> usize {
    let values = [&event.now, &event.before].into_iter().flatten().map(|held| held.value.len());
    size_of::<Event>() + event.key.len() + values.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::KeyValue;

    fn event(revision: u64, len: usize) -> Event {
        let revision = Revision(revision);
        let now = KeyValue { key: "k".into(), value: vec![0; len].into(), created: revision, modified: revision };
        Event { revision, key: Bytes::from_static(b"k"), now: Some(now), before: None }
    }

    fn revisions(recent: &Recent, after: u64) -> Option<Vec<u64>> {
        recent.after(Revision(after)).map(|events| events.map(|event| event.revision.0).collect())
    }

    #[test]
    fn whole_revisions_leave_when_it_is_full() {
        let mut recent = Recent::starting(Revision(3));
        recent.extend([event(4, MOST_BYTES / 3), event(4, MOST_BYTES / 3), event(5, 1)]);
        assert_eq!(revisions(&recent, 3), Some(vec![4, 4, 5]));
        assert_eq!(revisions(&recent, 2), None);
        recent.extend([event(6, MOST_BYTES / 3)]);
        assert_eq!(revisions(&recent, 3), None);
        assert_eq!(revisions(&recent, 4), Some(vec![5, 6]));
        assert_eq!(revisions(&recent, 6), Some(vec![]));
    }
}
