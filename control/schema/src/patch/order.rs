//! The order of a merged list: what the patch names keeps the patch's order, what only the server has keeps the server's,
//! and the two are interleaved as the live list had them.

use serde_json::Value;

use super::PatchError;

/// Items are compared each with each, so a list that is merged has to end somewhere.
const MAX_ITEMS: usize = 5_000;

pub(super) fn limit(items: usize) -> Result<(), PatchError> {
    if items > MAX_ITEMS {
        return Err(PatchError::TooLarge(format!(
            "a patch may merge a list of up to {MAX_ITEMS} items, this one has {items}"
        )));
    }
    Ok(())
}

/// What makes an item itself: the value of its merge key, or the whole item in a list of scalars.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity<'a> {
    pub(super) merge_key: Option<&'a str>,
}

impl Identity<'_> {
    pub(super) fn of(self, item: &Value) -> Option<&Value> {
        match self.merge_key {
            Some(key) => item.get(key),
            None => Some(item),
        }
    }

    pub(super) fn require(self, item: &Value) -> Result<&Value, PatchError> {
        let key = self.merge_key.unwrap_or_default();
        self.of(item)
            .ok_or_else(|| PatchError::Malformed(format!("map: {item} does not contain declared merge key: {key}")))
    }

    pub(super) fn position(self, list: &[Value], identity: &Value) -> Option<usize> {
        list.iter().position(|item| self.of(item) == Some(identity))
    }

    fn place(self, list: &[Value], item: &Value) -> Option<usize> {
        self.position(list, self.of(item)?)
    }
}

/// Sorts a merged list: `wanted` is the patch's order, `live` the list as it was.
pub(super) fn restore(merged: Vec<Value>, wanted: &[Value], live: &[Value], identity: Identity<'_>) -> Vec<Value> {
    let (mut named, mut others): (Vec<_>, Vec<_>) =
        merged.into_iter().partition(|item| identity.place(wanted, item).is_some());
    named.sort_by_cached_key(|item| identity.place(wanted, item));
    others.sort_by_cached_key(|item| identity.place(live, item).unwrap_or(usize::MAX));
    interleave(others, named, live, identity)
}

/// Each of the others stands before the first named item that it preceded in the live list; both keep their own order.
fn interleave(others: Vec<Value>, named: Vec<Value>, live: &[Value], identity: Identity<'_>) -> Vec<Value> {
    let mut all = Vec::with_capacity(others.len() + named.len());
    let mut others = others.into_iter().peekable();
    for item in named {
        let place = identity.place(live, &item);
        while let Some(other) = others.next_if(|other| precedes(identity.place(live, other), place)) {
            all.push(other);
        }
        all.push(item);
    }
    all.extend(others);
    all
}

fn precedes(left: Option<usize>, right: Option<usize>) -> bool {
    matches!((left, right), (Some(left), Some(right)) if left < right)
}

/// The patch's own items must be in `$setElementOrder`, in that order.
pub(super) fn check(patch: &[Value], order: &[Value], identity: Identity<'_>) -> Result<(), PatchError> {
    let mut rest = order.iter();
    for item in patch.iter().filter(|item| item.get(super::directives::PATCH).is_none()) {
        let wanted = identity.require(item)?;
        if !rest.any(|ordered| identity.of(ordered) == Some(wanted)) {
            return Err(PatchError::Malformed(format!(
                "the order in patch list {} doesn't match $setElementOrder list {}",
                Value::from(patch),
                Value::from(order)
            )));
        }
    }
    Ok(())
}
