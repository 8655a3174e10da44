//! What there is to call, from the WIT itself.

use std::collections::BTreeSet;
use std::path::Path;

use wit_parser::Resolve;

/// `interface.function` for each stable function of `wasi:sockets`, as the host's bindings name them.
pub(crate) fn of_wasi_sockets(version: &str) -> BTreeSet<String> {
    let resolve = resolve(version);
    let sockets = resolve.packages.iter().find(|(_, package)| package.name.name == "sockets").unwrap().1;
    let of_interface = |(name, id): (&String, _)| {
        let functions: Vec<String> = resolve.interfaces[id].functions.keys().cloned().collect();
        let name = name.clone();
        functions.into_iter().map(move |function| format!("{name}.{function}"))
    };
    sockets.interfaces.iter().map(|(name, id)| (name, *id)).flat_map(of_interface).collect()
}

fn resolve(version: &str) -> Resolve {
    let deps = Path::new(env!("CARGO_MANIFEST_DIR")).join("wit").join(version).join("deps");
    let mut resolve = Resolve::default();
    // Each uses those before it.
    for package in ["io", "clocks", "sockets"] {
        let file = deps.join(package).with_extension("wit");
        if let Ok(text) = std::fs::read_to_string(&file) {
            resolve.push_source(&file.display().to_string(), &text).unwrap();
        }
    }
    resolve
}
