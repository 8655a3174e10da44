//! The first byte from a server that holds no instance.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use wasmtime::component::Component;

use super::bare::plain;
use super::client::Connection;
use super::{bare, guest, native, ours};
use crate::measure::Load;
use crate::table::{Row, Target};

const TIMES: usize = 200;

pub(crate) async fn run() -> Result<Vec<Row>> {
    let guests = guest::engine()?;
    let mut rows = Vec::new();
    for (sample, what) in
        [("hello-http", "first byte from zero (0.2), p50"), ("hello-http-p3", "first byte from zero (0.3), p50")]
    {
        let program = guests.program(sample).await?;
        let mut from_zero = Load::EMPTY;
        for _ in 0..TIMES {
            // A container that was never asked: nothing of it lives but its metadata.
            let container = ours::container(&guests.engine, &program, &[])?;
            let server = ours::start(&container).await?;
            let mut connection = Connection::open(server.address).await?;
            from_zero.add(timed(connection.get()).await?);
        }
        let floor = floor(&guests, sample).await?;
        rows.push(Row {
            what,
            unit: "ms",
            ours: from_zero.quantile(0.5),
            floor_is: "mmap, instantiate, round trip",
            floor: floor.quantile(0.5),
            target: Target::AtMost(3.0),
        });
    }
    Ok(rows)
}

/// Maps the compiled program, makes an instance, and asks a native server once.
async fn floor(guests: &guest::Guests, sample: &str) -> Result<Load> {
    let engine = guests.engine.wasmtime();
    let file = guests.cache.path().join("floor.cwasm");
    std::fs::write(&file, plain(engine.precompile_component(&guest::wasm(sample)?))?)?;
    let pre = plain(bare::pre(engine, &guest::wasm(sample)?))?;
    let native = native::start().await?;
    let mut load = Load::EMPTY;
    for _ in 0..TIMES {
        let mut connection = Connection::open(native.address).await?;
        let once = async {
            let _component = mapped(engine, &file)?;
            let mut store = bare::store(engine);
            let _instance = plain(pre.instantiate_async(&mut store).await)?;
            connection.get().await
        };
        load.add(timed(once).await?);
    }
    Ok(load)
}

#[allow(unsafe_code)]
fn mapped(engine: &wasmtime::Engine, file: &Path) -> Result<Component> {
    // SAFETY: the file was written by this process, from this engine, and nobody else knows of it.
    plain(unsafe { Component::deserialize_file(engine, file) })
}

async fn timed(request: impl Future<Output = Result<()>>) -> Result<Load> {
    let begun = Instant::now();
    request.await?;
    let took: Duration = begun.elapsed();
    Ok(Load::new(vec![took], took))
}
