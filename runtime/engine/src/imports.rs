use wasmtime::Engine;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::p2::bindings as p2;
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{WasiView, p3};

use crate::capabilities;
use crate::files::FileSystem;
use crate::host::Host;
use crate::sockets;

/// Everything that a guest can import, whatever it exports: a 0.3 guest that uses a language's standard library imports
/// 0.2 interfaces too.
///
/// One by one, so that nothing of the host is here without having been asked for.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    cli(&mut linker)?;
    io(&mut linker)?;
    files(&mut linker)?;
    sockets::p2::add_to_linker(&mut linker)?;
    sockets::p3::add_to_linker(&mut linker)?;
    version_3(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    capabilities::add_to_linker(&mut linker)?;
    Ok(linker)
}

fn cli(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    p2::cli::exit::add_to_linker::<Host, WasiCli>(linker, Host::cli)?;
    p2::cli::environment::add_to_linker::<Host, WasiCli>(linker, Host::cli)?;
    p2::cli::stdin::add_to_linker::<Host, WasiCli>(linker, Host::cli)?;
    p2::cli::stdout::add_to_linker::<Host, WasiCli>(linker, Host::cli)?;
    p2::cli::stderr::add_to_linker::<Host, WasiCli>(linker, Host::cli)?;
    p2::cli::terminal_input::add_to_linker::<Host, WasiCli>(linker, Host::cli)?;
    p2::cli::terminal_output::add_to_linker::<Host, WasiCli>(linker, Host::cli)?;
    p2::cli::terminal_stdin::add_to_linker::<Host, WasiCli>(linker, Host::cli)?;
    p2::cli::terminal_stdout::add_to_linker::<Host, WasiCli>(linker, Host::cli)?;
    p2::cli::terminal_stderr::add_to_linker::<Host, WasiCli>(linker, Host::cli)
}

fn io(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    p2::io::error::add_to_linker::<Host, Table>(linker, |host| host.ctx().table)?;
    p2::io::poll::add_to_linker::<Host, Table>(linker, |host| host.ctx().table)?;
    p2::io::streams::add_to_linker::<Host, Table>(linker, |host| host.ctx().table)?;
    p2::clocks::wall_clock::add_to_linker::<Host, WasiClocks>(linker, Host::clocks)?;
    p2::clocks::monotonic_clock::add_to_linker::<Host, WasiClocks>(linker, Host::clocks)?;
    p2::random::random::add_to_linker::<Host, WasiRandom>(linker, |host| host.ctx().ctx.random())?;
    p2::random::insecure::add_to_linker::<Host, WasiRandom>(linker, |host| host.ctx().ctx.random())?;
    p2::random::insecure_seed::add_to_linker::<Host, WasiRandom>(linker, |host| host.ctx().ctx.random())
}

/// What `wasi:io` works on.
struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

/// The folders of the container's mounts are preopened, and nothing else.
fn files(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    p2::filesystem::preopens::add_to_linker::<Host, FileSystem>(linker, Host::files)?;
    p2::filesystem::types::add_to_linker::<Host, FileSystem>(linker, Host::files)
}

fn version_3(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    p3::cli::add_to_linker(linker)?;
    p3::clocks::add_to_linker(linker)?;
    p3::random::add_to_linker(linker)?;
    p3::bindings::filesystem::preopens::add_to_linker::<Host, FileSystem>(linker, Host::files)?;
    p3::bindings::filesystem::types::add_to_linker::<Host, FileSystem>(linker, Host::files)
}

#[cfg(test)]
mod tests;
