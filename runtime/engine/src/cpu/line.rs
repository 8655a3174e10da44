//! Who is next among those that wait: pure, as is the queue that is made of it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::ticker::TICK;

/// CPU time divided by weight: of two members that always want to run, both get on equally fast in it.
pub(super) type Virtual = u128;

/// Virtual nanoseconds of a member of this weight are nanoseconds.
const UNIT: u128 = 1024;

/// How far a member of this weight gets on in so many nanoseconds.
pub(super) fn virtually(nanoseconds: u128, weight: u128) -> Virtual {
    nanoseconds * UNIT / weight
}

/// Who may run: the one that is most behind first; among equals, in order.
pub(super) struct Line<Member> {
    /// How far those have come who are at work. Who comes back from sleep begins here, and has no claim to what it did not
    /// use meanwhile; nor has one that its one task keeps from using its share of several threads.
    clock: Virtual,
    ready: BinaryHeap<Reverse<Entry<Member>>>,
}

/// A place in a line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry<Member> {
    /// What the member had used when it stood in line. It may be more by now.
    pub(super) used: Virtual,
    pub(super) ticket: Ticket,
    pub(super) member: Member,
}

/// Tells entries apart, and their order: one that its member has left behind in a line is known by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(pub(super) u64);

impl<Member: Ord> Line<Member> {
    pub(super) fn new() -> Self {
        Line { clock: 0, ready: BinaryHeap::new() }
    }

    pub(super) fn push(&mut self, entry: Entry<Member>) {
        self.ready.push(Reverse(entry));
    }

    pub(super) fn pop(&mut self) -> Option<Entry<Member>> {
        self.ready.pop().map(|Reverse(entry)| entry)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Somebody has a turn who had used so much.
    pub(super) fn passed(&mut self, used: Virtual) {
        self.clock = self.clock.max(used);
    }

    /// Where somebody begins who takes part again: where the others are; a turn ahead of them, so that who waited for
    /// something is next.
    pub(super) fn rejoined(&self, used: Virtual, weight: u128) -> Virtual {
        used.max(self.clock.saturating_sub(virtually(TICK.as_nanos(), weight)))
    }
}
