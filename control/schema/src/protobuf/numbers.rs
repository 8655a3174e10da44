//! Which number on the wire is which field.

use std::sync::LazyLock;

use crate::shape::TypeRef;
use crate::tables::Schemas;

static BUILTIN: LazyLock<Numbers> = LazyLock::new(|| load(include_str!("../tables/protobuf.txt")));

/// What a number of a message stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Target {
    /// A field of the JSON object.
    Field {
        name: &'static str,
        /// A zero was sent only because Go has no absent value there.
        zero_is_absent: bool,
    },
    /// A message whose fields are the outer object's own in JSON; its path.
    Inline(u64),
}

/// The numbers of all types, in the order of type and path.
///
/// A path is the numbers from the outermost message to the field, 16 bits each: longer only below embedded messages that
/// JSON does not have.
pub(super) struct Numbers(Vec<(TypeRef, u64, Target)>);

impl Numbers {
    pub(super) fn builtin() -> &'static Self {
        &BUILTIN
    }

    pub(super) fn knows(&self, ty: TypeRef) -> bool {
        let from = self.0.partition_point(|(known, ..)| *known < ty);
        self.0.get(from).is_some_and(|(known, ..)| *known == ty)
    }

    pub(super) fn find(&self, ty: TypeRef, within: u64, number: u32) -> Option<Target> {
        let path = step(within, u16::try_from(number).ok()?);
        let index = self.0.binary_search_by_key(&(ty, path), |(ty, path, _)| (*ty, *path)).ok()?;
        Some(self.0[index].2)
    }
}

fn step(within: u64, number: u16) -> u64 {
    within << 16 | u64::from(number)
}

/// The generator wrote the table and a test reads all of it, so a malformed line is a defect of the build.
fn load(text: &'static str) -> Numbers {
    let mut rows = Vec::new();
    let mut ty = TypeRef(0);
    for line in text.lines() {
        let mut cells = line.split('\t');
        let (first, second) = (cells.next(), cells.next().unwrap_or_default());
        if first == Some("type") {
            ty = Schemas::builtin().named(second).unwrap_or_else(|| panic!("protobuf.txt: no type {second}"));
            continue;
        }
        let path = cells.next().unwrap_or_default();
        let path = path.split('/').map(|number| number.parse().expect("protobuf.txt: a path is numbers")).fold(0, step);
        let zero_is_absent = cells.next() == Some("zero");
        let target = match second {
            "" => Target::Inline(path),
            name => Target::Field { name, zero_is_absent },
        };
        rows.push((ty, path, target));
    }
    rows.sort_unstable_by_key(|(ty, path, _)| (*ty, *path));
    Numbers(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_leads_to_a_field_that_the_tables_have() {
        let schemas = Schemas::builtin();
        for (ty, _, target) in &Numbers::builtin().0 {
            if let Target::Field { name, .. } = target {
                assert!(schemas.field(*ty, name).is_some(), "{}: {name}", schemas.name(*ty));
            }
        }
    }

    #[test]
    fn no_number_stands_twice() {
        let rows = &Numbers::builtin().0;
        assert!(rows.windows(2).all(|pair| (pair[0].0, pair[0].1) < (pair[1].0, pair[1].1)));
    }
}
