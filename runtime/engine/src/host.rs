use std::sync::Arc;

use wasmtime::Store;
use wasmtime::UpdateDeadline;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use crate::capabilities::Capabilities;
use crate::composition::{Bound, Proxies};
use crate::container::{Process, State};
use crate::files::{Files, InstanceFiles};
use crate::input::Stdin;
use crate::memory::Reservation;
use crate::output::{Output, Pipe, Stream};
use crate::{bounds, cpu};

/// What one store holds besides the guest: its view of WASI and what it took of the container's memory.
pub(crate) struct Host {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    network: NoNetwork,
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
        network: NoNetwork,
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
    store.epoch_deadline_callback(move |_| {
        on_tick();
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(cpu::give_way())))
    });
    store
}

/// Arguments, environment, input and output; no sockets, no names. Files are a part of their own.
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
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .socket_addr_check(|_, _| Box::pin(async { false }))
        .build()
}

impl Host {
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

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.network }
    }
}

/// Outgoing requests of guests, in both versions of `wasi:http`: there is no network to send them to.
struct NoNetwork;

type Transmitted = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for NoNetwork {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _received: Transmitted,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Transmitted), Error>> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Empty};

    use super::*;

    #[tokio::test]
    async fn requests_of_guests_go_nowhere() {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let request = http::Request::get("http://127.0.0.1:6443/").body(body).unwrap();
        let sent = Box::into_pin(NoNetwork.send_request(request, None, Box::new(async { Ok(()) }))).await;
        assert!(matches!(sent, Err(Error::HttpRequestDenied)));
    }
}
