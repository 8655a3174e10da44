//! `wasmtime serve`, where it is installed: the peer of an HTTP component behind a Service.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// How long it may take to compile the component and listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running `wasmtime serve`; dropping it ends it.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    _process: Child,
}

/// Serves `component`; `None`, said on standard error, where no `wasmtime` is on PATH.
pub(crate) async fn start(component: &Path) -> Result<Option<Peer>> {
    let address = free_address().await?;
    let mut command = Command::new("wasmtime");
    command.arg("serve").arg("-Scli").arg("--addr").arg(address.to_string()).arg(component);
    let Ok(process) = command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn() else {
        eprintln!("no wasmtime is on PATH: the rows beside `wasmtime serve` are left out");
        return Ok(None);
    };
    let begun = Instant::now();
    while TcpStream::connect(address).await.is_err() {
        ensure!(begun.elapsed() < PATIENCE, "`wasmtime serve {}` does not listen at {address}", component.display());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(Some(Peer { address, _process: process }))
}

async fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?)
}
