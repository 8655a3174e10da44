//! Which host functions were called, from the spans that the bindings of both hosts open.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Host {
    Ours,
    Stock,
}

/// Whose function, of which version, and `interface.function`.
type Call = (Host, &'static str, String);

#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<BTreeSet<Call>>>);

impl Calls {
    /// From now on, in the whole process.
    pub(crate) fn record() -> Calls {
        let calls = Calls::default();
        tracing::subscriber::set_global_default(calls.clone()).unwrap();
        calls
    }

    /// `interface.function` of each that was called.
    pub(crate) fn made(&self, host: Host, version: &str) -> BTreeSet<String> {
        let all = self.0.lock().unwrap();
        all.iter().filter(|call| call.0 == host && call.1 == version).map(|call| call.2.clone()).collect()
    }
}

/// Which host and which version of `wasi:sockets` bindings belong to.
fn origin(bindings: &str) -> Option<(Host, &'static str)> {
    let host = if bindings.starts_with("carob_engine::sockets::") { Host::Ours } else { Host::Stock };
    let version = ["p2", "p3"].into_iter().find(|version| bindings.contains(&format!("::{version}::")))?;
    bindings.contains("::wasi::sockets::").then_some((host, version))
}

impl Subscriber for Calls {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.name() == "wit-bindgen import" && origin(metadata.target()).is_some()
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut name = Name::default();
        span.record(&mut name);
        if let Some((host, version)) = origin(span.metadata().target()) {
            self.0.lock().unwrap().insert((host, version, format!("{}.{}", name.module, name.function)));
        }
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Name {
    module: String,
    function: String,
}

impl Visit for Name {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "module" => value.clone_into(&mut self.module),
            "function" => value.clone_into(&mut self.function),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
