use std::sync::Arc;

use wasmtime::Store;
use wasmtime::UpdateDeadline;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::capabilities::Capabilities;
use crate::composition::{Bound, Proxies};
use crate::container::{Process, State};
use crate::files::{Files, InstanceFiles};
use crate::input::Stdin;
use crate::memory::Reservation;
use crate::outgoing::Outgoing;
use crate::output::{Output, Pipe, Stream};
use crate::sockets::{Running, Sockets, SocketsView};
use crate::{bounds, cpu, host_memory};

/// What one store holds besides the guest: its view of WASI and what it took of the container's memory.
pub(crate) struct Host {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outgoing: Outgoing,
    sockets: Sockets,
    files: InstanceFiles,
    table: ResourceTable,
    memory: Reservation,
    output: Arc<dyn Output>,
    capabilities: Arc<Capabilities>,
    links: Arc<[Bound]>,
    proxies: Proxies,
}

/// A fresh store of `container`, for `process`. Its guest gives way at each tick, through `on_tick`.
pub(crate) fn store(
    container: &State,
    process: &Process<'_>,
    on_tick: impl Fn() + Send + Sync + 'static,
) -> Store<Host> {
    let mut table = ResourceTable::new();
    table.set_max_capacity(bounds::RESOURCES);
    let mut http = WasiHttpCtx::new();
    http.set_field_size_limit(bounds::HEADER_BYTES);
    let host = Host {
        wasi: wasi(container, process),
        http,
        outgoing: container.outgoing.clone(),
        sockets: Sockets::new(container.config.network.clone()),
        files: InstanceFiles::new(container.config.mounts.clone(), container.files.clone()),
        table,
        memory: Reservation::new(container.memory.clone()),
        output: process.output.clone(),
        capabilities: container.config.capabilities.clone(),
        links: process.links.clone(),
        proxies: Proxies::default(),
    };
    let mut store = Store::new(&container.engine.wasmtime, host);
    store.limiter(|host| &mut host.memory);
    store.set_hostcall_fuel(bounds::CALL_BYTES);
    store.set_epoch_deadline(1);
    let ticker = container.engine.ticker.clone();
    store.epoch_deadline_callback(move |mut store| {
        store.data_mut().count_resources()?;
        if !ticker.ticked() {
            return Ok(UpdateDeadline::Continue(1));
        }
        on_tick();
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(cpu::give_way())))
    });
    store
}

/// Arguments, environment, input and output; files, sockets and names are parts of their own.
fn wasi(container: &State, process: &Process<'_>) -> WasiCtx {
    let terminal = process.terminal;
    let pipe = |stream| Pipe { output: process.output.clone(), stream, terminal };
    let mut builder = WasiCtxBuilder::new();
    if let Some(dir) = &container.config.working_dir {
        builder.initial_cwd(dir);
    }
    builder
        .args(process.args)
        .envs(process.env)
        .stdin(Stdin { input: process.input.clone(), terminal })
        .stdout(pipe(Stream::Stdout))
        .stderr(pipe(Stream::Stderr))
        .build()
}

impl Host {
    /// Counts what the host holds for the guest's resources with its memory. An error ends the guest.
    fn count_resources(&mut self) -> wasmtime::Result<()> {
        Ok(self.memory.count_host(host_memory::held_for(&mut self.table))?)
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    pub(crate) fn capabilities_and_table(&mut self) -> (&Capabilities, &mut ResourceTable) {
        (&self.capabilities, &mut self.table)
    }

    /// Where the guest's own imports lead.
    pub(crate) fn links(&self) -> &Arc<[Bound]> {
        &self.links
    }

    /// What the guest holds of its siblings.
    pub(crate) fn proxies(&mut self) -> &mut Proxies {
        &mut self.proxies
    }

    /// Takes what the program prints.
    pub(crate) fn output(&self) -> &dyn Output {
        &*self.output
    }

    pub(crate) fn files(&mut self) -> Files<'_> {
        Files { own: &mut self.files, table: &mut self.table }
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl Host {
    pub(crate) fn sockets(&mut self) -> SocketsView<'_> {
        SocketsView { sockets: &self.sockets, table: &mut self.table }
    }

    /// To be held while the guest runs.
    pub(crate) fn running(&self) -> Running {
        self.sockets.running()
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.outgoing }
    }
}
