use std::sync::{Arc, OnceLock};

use wasmtime::component::{Component, InstancePre, Linker};

use crate::compile::CompileError;
use crate::composition::{self, Interfaces, Own};
use crate::host::Host;
use crate::pool::TABLES_PER_SLOT;

/// What a program does once it is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Exports `wasi:cli/run`: runs to its end.
    Command,
    /// Exports `wasi:http/incoming-handler` 0.2: answers each request with an instance of its own.
    HttpP2,
    /// Exports `wasi:http/handler` 0.3: one instance answers several requests at a time.
    HttpP3,
    /// Exports interfaces of its own only: runs as long as it is wanted, and answers the calls of its siblings.
    Library,
}

/// A compiled component, mapped from the cache. Cloning shares the mapping.
#[derive(Clone)]
pub struct Program {
    pub(crate) inner: Arc<Compiled>,
}

pub(crate) struct Compiled {
    component: Component,
    pub(crate) entry: Entry,
    /// The names of its imports.
    pub(crate) imports: Vec<String>,
    /// Its imports and exports that are not WASI's.
    pub(crate) own: Own,
    /// With its imports found, once a container was started: thousands of containers share it.
    linked: OnceLock<InstancePre<Host>>,
}

/// The export that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    CommandP2,
    CommandP3,
    HttpP2,
    HttpP3,
    Library,
}

impl Program {
    /// What the component exports, and so how it runs.
    pub fn kind(&self) -> Kind {
        match self.inner.entry {
            Entry::CommandP2 | Entry::CommandP3 => Kind::Command,
            Entry::HttpP2 => Kind::HttpP2,
            Entry::HttpP3 => Kind::HttpP3,
            Entry::Library => Kind::Library,
        }
    }

    /// What it needs of its siblings, and offers to them.
    pub fn interfaces(&self) -> Interfaces {
        self.inner.own.names()
    }
}

impl Compiled {
    pub(crate) fn new(component: Component) -> Result<Compiled, CompileError> {
        let engine = component.engine();
        let ty = component.component_type();
        let imports = ty.imports(engine).map(|(name, _)| name.to_owned()).collect();
        let exports: Vec<String> = ty.exports(engine).map(|(name, _)| name.to_owned()).collect();
        let own = Own::of(&ty, engine);
        let library = (!own.exports.interfaces.is_empty()).then_some(Entry::Library);
        let entry = entry(&exports).or(library).ok_or(CompileError::NothingToRun { exports })?;
        Ok(Compiled { component, entry, imports, own, linked: OnceLock::new() })
    }

    /// The component with its imports taken from `linker`, which is always the one of its engine; its own imports are
    /// forwarded to wherever the store says.
    pub(crate) fn linked(&self, linker: &Linker<Host>) -> wasmtime::Result<InstancePre<Host>> {
        if let Some(linked) = self.linked.get() {
            return Ok(linked.clone());
        }
        let linked = if self.own.imports.interfaces.is_empty() {
            linker.instantiate_pre(&self.component)?
        } else {
            let mut linker = linker.clone();
            composition::add_to_linker(&mut linker, &self.own.imports)?;
            linker.instantiate_pre(&self.component)?
        };
        Ok(self.linked.get_or_init(|| linked).clone())
    }

    /// How many of the pool's slots one instance takes.
    pub(crate) fn slots(&self) -> u32 {
        let Some(needs) = self.component.resources_required() else { return 1 };
        needs.num_memories.max(needs.num_tables.div_ceil(TABLES_PER_SLOT)).max(1)
    }
}

/// A component that both serves and runs is a server: its `run` is for those who cannot serve.
fn entry(exports: &[String]) -> Option<Entry> {
    const ENTRIES: [(&str, &str, Entry); 4] = [
        ("wasi:http/handler", "0.3.", Entry::HttpP3),
        ("wasi:http/incoming-handler", "0.2.", Entry::HttpP2),
        ("wasi:cli/run", "0.3.", Entry::CommandP3),
        ("wasi:cli/run", "0.2.", Entry::CommandP2),
    ];
    let offers = |name: &str, version: &str| {
        exports.iter().filter_map(|export| export.split_once('@')).any(|(interface, found)| {
            // A pre-release is an interface of its own, which only hosts of that day provide.
            interface == name && found.starts_with(version) && !found.contains('-')
        })
    };
    ENTRIES.into_iter().find(|(name, version, _)| offers(name, version)).map(|(_, _, entry)| entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exports_decide() {
        let cases: [(&[&str], Option<Entry>); 8] = [
            (&["wasi:cli/run@0.2.0"], Some(Entry::CommandP2)),
            (&["wasi:cli/run@0.2.12", "other:thing/run"], Some(Entry::CommandP2)),
            (&["wasi:cli/run@0.3.0"], Some(Entry::CommandP3)),
            (&["wasi:http/incoming-handler@0.2.4"], Some(Entry::HttpP2)),
            (&["wasi:cli/run@0.2.0", "wasi:http/incoming-handler@0.2.0"], Some(Entry::HttpP2)),
            (&["wasi:http/handler@0.3.2"], Some(Entry::HttpP3)),
            (&["wasi:http/handler@0.3.0-rc-2026-01-06"], None),
            (&["run"], None),
        ];
        for (exports, expected) in cases {
            let exports: Vec<String> = exports.iter().map(|export| (*export).to_owned()).collect();
            assert_eq!(entry(&exports), expected, "{exports:?}");
        }
    }
}
