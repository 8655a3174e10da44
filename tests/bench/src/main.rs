//! The benchmarks: each figure beside a floor that is measured in the same run, on the same disk, with the same clients.
//!
//! `make bench` runs all of them; arguments choose some by name. Absolute figures mean nothing beyond the machine and the
//! minute: read the ratios. Start reading at [`BENCHES`], then `measure.rs` for how a load is made and counted.

mod calls;
mod cluster;
mod creates;
mod dns;
mod fanout;
mod floor;
mod http;
mod keyvalue;
mod limits;
mod measure;
mod objects;
mod pod_to_pod;
mod pods;
mod reads;
mod runtime;
mod services;
mod table;
mod wire;

use anyhow::{Result, bail};
use futures::future::{BoxFuture, FutureExt};
use table::Row;

/// As in `carob` itself; floors and peers in this process have it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A benchmark: its name, and what runs it.
type Bench = (&'static str, fn() -> BoxFuture<'static, Result<Vec<Row>>>);

const BENCHES: &[Bench] = &[
    ("pods", || pods::run(pods::Guest::Http, 1_000).boxed()),
    ("many-pods", || pods::run(pods::Guest::Http, 10_000).boxed()),
    ("listening-pods", || pods::run(pods::Guest::Socket, 1_000).boxed()),
    ("pod-to-pod", || pod_to_pod::run().boxed()),
    ("services", || services::run().boxed()),
    ("store", || creates::store().boxed()),
    ("creates", || creates::api().boxed()),
    ("reads", || reads::run().boxed()),
    ("fanout", || fanout::run().boxed()),
    ("http", || http::requests().boxed()),
    ("cold", || http::cold().boxed()),
    ("neighbours", || http::neighbours().boxed()),
    ("limits", || limits::run().boxed()),
    ("dns", || dns::run().boxed()),
    ("keyvalue", || keyvalue::run().boxed()),
    ("calls", || calls::run().boxed()),
    ("gateway", || http::gateway().boxed()),
];

fn main() -> Result<()> {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    if chosen == [pod_to_pod::PEER] {
        return pod_to_pod::peer();
    }
    let names: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = chosen.iter().find(|name| !names.contains(&name.as_str())) {
        bail!("there is no benchmark {unknown}; there are: {}", names.join(", "));
    }
    let wished = BENCHES.iter().filter(|(name, _)| chosen.is_empty() || chosen.iter().any(|wish| wish == name));
    match wished.collect::<Vec<_>>()[..] {
        [(name, run)] => one(name, *run),
        ref several => several.iter().try_for_each(|(name, _)| in_a_process(name)),
    }
}

fn one(name: &str, run: fn() -> BoxFuture<'static, Result<Vec<Row>>>) -> Result<()> {
    eprintln!("running {name}");
    let rows = tokio::runtime::Runtime::new()?.block_on(run())?;
    println!("{}", table::render(&rows));
    Ok(())
}

/// Memory that one benchmark has used would be used again by the next, and not be seen.
fn in_a_process(name: &str) -> Result<()> {
    let status = std::process::Command::new(std::env::current_exe()?).arg(name).status()?;
    if !status.success() {
        bail!("{name} failed");
    }
    Ok(())
}
