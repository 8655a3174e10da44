//! What this server is about to write, read already.

use std::collections::HashMap;

use bytes::Bytes;
use parking_lot::Mutex;

use super::entry::Selectable;

/// What selectors look at in objects that are on their way through the store, by key.
///
/// It is a short cut and nothing else: what it holds follows from the bytes that stand beside it, and is taken for those
/// bytes only. So the store's log alone decides what happened and in which order, and what is not here is parsed.
#[derive(Default)]
pub(super) struct Expected(Mutex<HashMap<Box<str>, (Bytes, Selectable)>>);

/// Forgets, when it is dropped, what did not come.
pub(crate) struct Expectation<'a> {
    expected: &'a Expected,
    key: &'a str,
}

impl Expected {
    pub(super) fn add<'a>(&'a self, key: &'a str, stored: Bytes, selectable: Selectable) -> Expectation<'a> {
        self.0.lock().insert(key.into(), (stored, selectable));
        Expectation { expected: self, key }
    }

    /// What selectors look at in the object that `stored` encodes, if it was expected.
    pub(super) fn take(&self, key: &str, stored: &Bytes) -> Option<Selectable> {
        self.0.lock().remove(key).filter(|(expected, _)| expected == stored).map(|(_, selectable)| selectable)
    }
}

impl Drop for Expectation<'_> {
    fn drop(&mut self) {
        self.expected.0.lock().remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn labelled(value: &str) -> Selectable {
        let maps = carob_resources::all().iter().find(|one| one.plural == "configmaps").unwrap();
        Selectable::of(maps, &json!({ "metadata": { "labels": { "a": value } } }))
    }

    #[test]
    fn only_the_very_bytes_that_were_expected_are_known_and_only_once() {
        let expected = Expected::default();
        let _one = expected.add("x/one", "1".into(), labelled("1"));
        let _two = expected.add("x/two", "2".into(), labelled("2"));
        assert_eq!(expected.take("x/one", &"1".into()).unwrap().label("a"), Some("1"));
        assert!(expected.take("x/one", &"1".into()).is_none());
        assert!(expected.take("x/two", &"another's".into()).is_none());
        assert!(expected.take("x/three", &"3".into()).is_none());
    }

    #[test]
    fn what_does_not_come_is_forgotten() {
        let expected = Expected::default();
        drop(expected.add("x/one", "1".into(), labelled("1")));
        assert!(expected.0.lock().is_empty());
    }
}
