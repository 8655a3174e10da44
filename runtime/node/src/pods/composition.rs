//! Which container's import is met by which sibling's export.

use std::collections::BTreeSet;
use std::fmt;

use carob_engine::Interfaces;

use super::slot::Role;

/// A container, as far as composition is concerned.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// `None` while its image is not here.
    pub(crate) interfaces: Option<Interfaces>,
}

/// An import, and the export that meets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wire {
    pub(crate) import: String,
    pub(crate) export: String,
    /// The exporter's place among the members.
    pub(crate) exporter: usize,
}

/// Why a container's imports cannot be met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(
        "the component imports {import}, which no other container of the Pod exports{}; add a container whose component \
         exports it", near(.instead)
    )]
    Missing {
        import: String,
        /// What comes near it, or may yet turn out to be it.
        instead: Vec<Near>,
    },
    #[error("the component imports {import}, which more than one container of the Pod exports: {}; keep one", list(.exporters))]
    Ambiguous { import: String, exporters: Vec<String> },
    #[error("containers of the Pod import from each other in a circle: {}", .path.join(" -> "))]
    Cycle { path: Vec<String> },
}

/// What is not what was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Near {
    /// Another version, which is not compatible.
    Version { container: String, export: String },
    /// It exports it, but does not run at the time.
    NotBeside { container: String },
    /// Its image is not here yet.
    Unknown { container: String },
}

/// Finds the exporter of each import of the member at `place`.
pub(crate) fn wires(members: &[Member], place: usize) -> Result<Vec<Wire>, Refusal> {
    let wires = met(members, place)?;
    match circle(members, place) {
        Some(path) => Err(Refusal::Cycle { path }),
        None => Ok(wires),
    }
}

fn met(members: &[Member], place: usize) -> Result<Vec<Wire>, Refusal> {
    let imports = members[place].interfaces.iter().flat_map(|interfaces| &interfaces.imports);
    imports.map(|import| exporter(members, place, import)).collect()
}

fn exporter(members: &[Member], place: usize, import: &str) -> Result<Wire, Refusal> {
    let offers: Vec<(usize, &str)> = reachable(members, place)
        .flat_map(|exporter| exports(&members[exporter]).map(move |export| (exporter, export)))
        .filter(|(_, export)| is_compatible(import, export))
        .collect();
    // As wasmtime has it: the very version, else the newest that is compatible.
    let exact: Vec<_> = offers.iter().copied().filter(|(_, export)| *export == import).collect();
    let offers = if exact.is_empty() { offers } else { exact };
    let exporters: BTreeSet<usize> = offers.iter().map(|(exporter, _)| *exporter).collect();
    if exporters.len() > 1 {
        let exporters = exporters.into_iter().map(|exporter| members[exporter].name.clone()).collect();
        return Err(Refusal::Ambiguous { import: import.to_owned(), exporters });
    }
    let best = offers.into_iter().max_by_key(|(_, export)| Version::of(export));
    let (exporter, export) =
        best.ok_or_else(|| Refusal::Missing { import: import.to_owned(), instead: instead(members, place, import) })?;
    Ok(Wire { import: import.to_owned(), export: export.to_owned(), exporter })
}

/// The siblings that run as long as the member at `place` may call them.
fn reachable(members: &[Member], place: usize) -> impl Iterator<Item = usize> {
    let others = (0..members.len()).filter(move |other| *other != place);
    others.filter(move |other| match (members[place].role, members[*other].role) {
        (_, Role::Init | Role::Ephemeral) => false,
        (Role::Main | Role::Ephemeral, Role::Main | Role::Sidecar) => true,
        (Role::Init | Role::Sidecar, Role::Sidecar) => *other < place,
        (Role::Init | Role::Sidecar, Role::Main) => false,
    })
}

fn exports(member: &Member) -> impl Iterator<Item = &str> {
    member.interfaces.iter().flat_map(|interfaces| &interfaces.exports).map(String::as_str)
}

fn instead(members: &[Member], place: usize, import: &str) -> Vec<Near> {
    let near = |(other, member): (usize, &Member)| {
        let container = member.name.clone();
        if other == place {
            return None;
        }
        if member.interfaces.is_none() {
            return Some(Near::Unknown { container });
        }
        if exports(member).any(|export| is_compatible(import, export)) {
            return Some(Near::NotBeside { container });
        }
        let export = exports(member).find(|export| interface(export) == interface(import))?;
        Some(Near::Version { container, export: export.to_owned() })
    };
    members.iter().enumerate().filter_map(near).collect()
}

/// The names along a circle through the member at `place`, if there is one.
fn circle(members: &[Member], place: usize) -> Option<Vec<String>> {
    let mut path = vec![place];
    let found = leads_to(members, place, place, &mut path, &mut BTreeSet::new());
    found.then(|| path.into_iter().map(|member| format!("{:?}", members[member].name)).collect())
}

fn leads_to(members: &[Member], from: usize, to: usize, path: &mut Vec<usize>, seen: &mut BTreeSet<usize>) -> bool {
    // What is wrong with another's imports is that one's to say.
    for wire in met(members, from).unwrap_or_default() {
        path.push(wire.exporter);
        if wire.exporter == to {
            return true;
        }
        if seen.insert(wire.exporter) && leads_to(members, wire.exporter, to, path, seen) {
            return true;
        }
        path.pop();
    }
    false
}

/// The name without its version.
fn interface(name: &str) -> &str {
    name.split_once('@').map_or(name, |(interface, _)| interface)
}

/// Whether an export of this name meets an import of that one: the same, or of a version that semver calls compatible, in
/// either direction. A pre-release is compatible with itself alone.
fn is_compatible(import: &str, export: &str) -> bool {
    if import == export {
        return true;
    }
    let versions = Version::of(import).zip(Version::of(export));
    interface(import) == interface(export) && versions.is_some_and(|(import, export)| import.line() == export.line())
}

/// A version that is no pre-release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version([u64; 3]);

impl Version {
    fn of(name: &str) -> Option<Version> {
        let (_, version) = name.split_once('@')?;
        let (numbers, _build) = version.split_once('+').unwrap_or((version, ""));
        let mut numbers = numbers.split('.').map(str::parse);
        let version = [numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?];
        numbers.next().is_none().then_some(Version(version))
    }

    /// What all compatible versions have in common: all up to the first number that is not 0.
    fn line(self) -> [u64; 3] {
        match self.0 {
            [0, 0, patch] => [0, 0, patch],
            [0, minor, _] => [0, minor, 0],
            [major, _, _] => [major, 0, 0],
        }
    }
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    names.join(" and ")
}

fn near(instead: &[Near]) -> String {
    if instead.is_empty() {
        return String::new();
    }
    let near: Vec<String> = instead.iter().map(Near::to_string).collect();
    format!(" ({})", near.join("; "))
}

impl fmt::Display for Near {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Near::Version { container, export } => write!(f, "{container:?} exports {export}, which is not compatible"),
            Near::NotBeside { container } => write!(f, "{container:?} exports it, but does not run beside this one"),
            Near::Unknown { container } => write!(f, "the image of {container:?} is not here yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name: imports / exports`, with its role in front where that is not main.
    fn members(text: &[&str]) -> Vec<Member> {
        text.iter().map(|line| member(line)).collect()
    }

    fn member(line: &str) -> Member {
        let (name, rest) = line.split_once(':').unwrap();
        let (role, name) = match name.split_once(' ') {
            Some(("init", name)) => (Role::Init, name),
            Some(("sidecar", name)) => (Role::Sidecar, name),
            Some(("ephemeral", name)) => (Role::Ephemeral, name),
            _ => (Role::Main, name),
        };
        let names = |text: &str| text.split_whitespace().map(|name| format!("shop:{name}")).collect();
        let interfaces = rest
            .split_once('|')
            .map(|(imports, exports)| Interfaces { imports: names(imports), exports: names(exports) });
        Member { name: name.to_owned(), role, interfaces }
    }

    /// What the first member's imports lead to, or the message.
    fn wired(text: &[&str]) -> Result<String, String> {
        let members = members(text);
        let wires = wires(&members, 0).map_err(|refusal| refusal.to_string())?;
        let told =
            wires.iter().map(|wire| format!("{}={}", members[wire.exporter].name, &wire.export["shop:".len()..]));
        Ok(told.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn imports_are_met_by_compatible_exports() {
        let cases: [(&[&str], &str); 12] = [
            (&["a: |"], ""),
            (&["a: p/x |", "b: | p/x"], "b=p/x"),
            (&["a: p/x@1.0.0 p/y@1.0.0 |", "b: | p/y@1.0.0", "c: | p/x@1.0.0"], "c=p/x@1.0.0 b=p/y@1.0.0"),
            (&["a: p/x@1.2.0 |", "b: | p/x@1.0.5"], "b=p/x@1.0.5"),
            (&["a: p/x@1.0.0 |", "b: | p/x@1.2.0 p/x@1.10.0 p/x@2.0.0"], "b=p/x@1.10.0"),
            (&["a: p/x@1.0.0 |", "b: | p/x@1.2.0", "c: | p/x@1.0.0"], "c=p/x@1.0.0"),
            (&["a: p/x@0.2.1 |", "b: | p/x@0.2.0", "c: | p/x@0.3.0"], "b=p/x@0.2.0"),
            (&["a: p/x@1.0.0-rc |", "b: | p/x@1.0.0-rc", "c: | p/x@1.0.0"], "b=p/x@1.0.0-rc"),
            // What it exports itself does not meet its own import.
            (&["a: p/x | p/x", "b: | p/x"], "b=p/x"),
            (&["a: p/x |", "sidecar b: | p/x"], "b=p/x"),
            (&["a: p/x |", "b: p/y | p/x", "c: | p/y"], "b=p/x"),
            (&["ephemeral a: p/x |", "b: | p/x"], "b=p/x"),
        ];
        for (text, expected) in cases {
            assert_eq!(wired(text).as_deref(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_met_is_named() {
        let cases: [(&[&str], &[&str]); 13] = [
            (&["a: p/x |"], &["imports shop:p/x, which no other container of the Pod exports; add"]),
            (&["a: p/x |", "b: | p/y"], &["imports shop:p/x, which no other container"]),
            (&["a: p/x@1.0.0 |", "b: | p/x@2.0.0"], &["\"b\" exports shop:p/x@2.0.0, which is not compatible"]),
            (&["a: p/x@0.0.1 |", "b: | p/x@0.0.2"], &["\"b\" exports shop:p/x@0.0.2, which is not compatible"]),
            (&["a: p/x@1.0.0 |", "b: | p/x@1.0.0-rc"], &["which is not compatible"]),
            (&["a: p/x@1.0.0 |", "b: | p/x"], &["which is not compatible"]),
            (&["a: p/x |", "b:"], &["the image of \"b\" is not here yet"]),
            (&["a: p/x |", "init b: | p/x"], &["\"b\" exports it, but does not run beside this one"]),
            (&["a: p/x |", "ephemeral b: | p/x"], &["\"b\" exports it, but does not run beside this one"]),
            (&["init a: p/x |", "b: | p/x"], &["\"b\" exports it, but does not run beside this one"]),
            (&["a: p/x |", "b: | p/x", "c: | p/x"], &["more than one", "\"b\" and \"c\"; keep one"]),
            (&["a: p/x@1.0.0 |", "b: | p/x@1.1.0", "c: | p/x@1.2.0"], &["\"b\" and \"c\"; keep one"]),
            (&["a: p/x | p/y", "b: p/y | p/x"], &["in a circle: \"a\" -> \"b\" -> \"a\""]),
        ];
        for (text, expected) in cases {
            let message = wired(text).unwrap_err();
            assert!(expected.iter().all(|part| message.contains(part)), "{text:?}: {message}");
        }
    }

    #[test]
    fn circles_concern_those_who_are_in_them() {
        let members = members(&["a: p/x |", "b: p/y | p/x", "c: p/z | p/y", "d: p/y | p/z"]);
        assert!(wires(&members, 0).is_ok(), "a only leads to the circle");
        assert!(wires(&members, 1).is_ok());
        let path = vec!["\"c\"".to_owned(), "\"d\"".to_owned(), "\"c\"".to_owned()];
        assert_eq!(wires(&members, 2), Err(Refusal::Cycle { path }));
    }

    #[test]
    fn an_init_container_reaches_the_sidecars_before_it() {
        let members = members(&["sidecar s: | p/x", "init i: p/x |", "sidecar t: | p/y", "init j: p/y |"]);
        assert_eq!(wires(&members, 1).unwrap()[0].exporter, 0);
        assert_eq!(wires(&members, 3).unwrap()[0].exporter, 2);
    }
}
