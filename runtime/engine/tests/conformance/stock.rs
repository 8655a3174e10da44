//! wasmtime-wasi as it comes, with the host's network.

use std::time::Duration;

use tokio::time::timeout;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, p2, p3};

/// How long a guest may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Stock {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Stock {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Runs a command to its end; answers what it printed.
pub(crate) async fn run(version: &str, wasm: &[u8]) -> String {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    let engine = Engine::new(&config).unwrap();
    let component = Component::new(&engine, wasm).unwrap();
    let mut linker = Linker::new(&engine);
    p2::add_to_linker_async(&mut linker).unwrap();
    p3::add_to_linker(&mut linker).unwrap();
    let output = MemoryOutputPipe::new(1 << 20);
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(output.clone()).inherit_stderr();
    wasi.inherit_network().allow_tcp(true).allow_udp(true).allow_ip_name_lookup(true);
    let wasi = wasi.build();
    let mut store = Store::new(&engine, Stock { wasi, table: ResourceTable::new() });
    let ended = timeout(PATIENCE, call(version, &mut store, &component, &linker)).await;
    let text = String::from_utf8(output.contents().to_vec()).unwrap();
    assert!(matches!(ended, Ok(Ok(Ok(())))), "{version}: {ended:?}\n{text}");
    text
}

async fn call(
    version: &str,
    store: &mut Store<Stock>,
    component: &Component,
    linker: &Linker<Stock>,
) -> wasmtime::Result<Result<(), ()>> {
    if version == "p2" {
        let command = p2::bindings::Command::instantiate_async(&mut *store, component, linker).await?;
        return command.wasi_cli_run().call_run(store).await;
    }
    let command = p3::bindings::Command::instantiate_async(&mut *store, component, linker).await?;
    store.run_concurrent(async |store| command.wasi_cli_run().call_run(store).await).await?
}
