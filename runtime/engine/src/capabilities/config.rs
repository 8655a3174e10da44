use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Linker, Lower};

use crate::host::Host;

/// `wasi:config` is a draft: each of these names is the same interface, as of another month.
const NAMES: [&str; 3] =
    ["wasi:config/store@0.2.0-rc.1", "wasi:config/store@0.2.0-draft", "wasi:config/runtime@0.2.0-draft"];

pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    for name in NAMES {
        let mut store = linker.instance(name)?;
        store.func_wrap("get", |store: StoreContextMut<'_, Host>, (key,): (String,)| Ok((get(store.data(), &key),)))?;
        store.func_wrap("get-all", |store: StoreContextMut<'_, Host>, ()| Ok((all(store.data()),)))?;
    }
    Ok(())
}

fn get(host: &Host, key: &str) -> Result<Option<String>, Error> {
    Ok(host.capabilities().config.get(key).cloned())
}

fn all(host: &Host) -> Result<Vec<(String, String)>, Error> {
    Ok(host.capabilities().config.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// The interface's `error`. Everything was read before the container started, so nothing here can fail.
#[derive(ComponentType, Lower)]
#[component(variant)]
#[expect(dead_code, reason = "the interface has them")]
enum Error {
    #[component(name = "upstream")]
    Upstream(String),
    #[component(name = "io")]
    Io(String),
}
