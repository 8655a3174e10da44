//! Two Pods and the node's network between them.

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use carob_net::{Network, Networks, TcpConnection, TcpOptions, Workload};
use carob_netmesh::{Mesh, MeshConfig};

use super::{Figures, PIECE, PING, TIME};
use crate::measure::Load;

/// Measures with a new connection for each figure.
pub(super) async fn measure() -> Result<Figures> {
    let mesh = Mesh::new(MeshConfig::default());
    let (client, server) = (join(&mesh, 2)?, join(&mesh, 3)?);
    let (bytes, took) = stream(connect(&client, &server).await?).await?;
    let pings = ping(connect(&client, &server).await?).await?;
    Ok(Figures { bytes, took, pings })
}

fn address(host: u8) -> IpAddr {
    Ipv4Addr::new(10, 244, 0, host).into()
}

fn join(mesh: &Mesh, host: u8) -> Result<Arc<dyn Network>> {
    let name = format!("pod-{host}");
    let addresses = vec![address(host)];
    Ok(mesh.join(Workload {
        namespace: "default".into(),
        name,
        addresses,
        hosts: vec![],
        names: Default::default(),
    })?)
}

/// A connection's two ends.
async fn connect(client: &Arc<dyn Network>, server: &Arc<dyn Network>) -> Result<(TcpConnection, TcpConnection)> {
    let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
    let listener = server.bind_tcp(any)?.listen(1)?;
    let to = SocketAddr::new(address(3), listener.local_address().port());
    let near = client.bind_tcp(any)?.connect(to, TcpOptions::default()).await?;
    let far = poll_fn(|cx| listener.poll_accept(cx)).await?;
    Ok((near, far))
}

async fn stream((near, mut far): (TcpConnection, TcpConnection)) -> Result<(u64, Duration)> {
    let begun = Instant::now();
    let sender = tokio::spawn(send(near, begun));
    let (mut memory, mut bytes) = (vec![0; PIECE], 0);
    while let Some(piece) = poll_fn(|cx| far.receive.poll_receive(cx, PIECE)).await? {
        memory[..piece.len()].copy_from_slice(&piece);
        bytes += piece.len() as u64;
    }
    let took = begun.elapsed();
    anyhow::ensure!(bytes == sender.await??, "what was sent arrives");
    Ok((bytes, took))
}

async fn send(mut near: TcpConnection, begun: Instant) -> Result<u64> {
    let (memory, mut bytes) = (vec![1; PIECE], 0);
    while begun.elapsed() < TIME {
        let room = poll_fn(|cx| near.transmit.poll_capacity(cx)).await?.min(PIECE);
        near.transmit.transmit(Bytes::copy_from_slice(&memory[..room]))?;
        bytes += room as u64;
    }
    poll_fn(|cx| near.transmit.poll_shutdown(cx)).await?;
    Ok(bytes)
}

async fn ping((mut near, far): (TcpConnection, TcpConnection)) -> Result<Load> {
    let answering = tokio::spawn(answer(far));
    // On a task of its own as well: the one that runs the benchmark does not live on a worker.
    let asking = tokio::spawn(async move {
        let (begun, mut latencies, mut text) = (Instant::now(), Vec::new(), [0; PING]);
        while begun.elapsed() < TIME {
            let asked = Instant::now();
            write(&mut near, &text).await?;
            read(&mut near, &mut text).await?.context("it answers")?;
            latencies.push(asked.elapsed());
        }
        anyhow::Ok(Load::new(latencies, begun.elapsed()))
    });
    let load = asking.await??;
    answering.await?.ok();
    Ok(load)
}

async fn answer(mut far: TcpConnection) -> Result<()> {
    let mut text = [0; PING];
    while read(&mut far, &mut text).await?.is_some() {
        write(&mut far, &text).await?;
    }
    Ok(())
}

async fn write(connection: &mut TcpConnection, mut text: &[u8]) -> Result<()> {
    while !text.is_empty() {
        let room = poll_fn(|cx| connection.transmit.poll_capacity(cx)).await?.min(text.len());
        connection.transmit.transmit(Bytes::copy_from_slice(&text[..room]))?;
        text = &text[room..];
    }
    Ok(())
}

/// Fills `text`; `None` at the end.
async fn read(connection: &mut TcpConnection, text: &mut [u8]) -> Result<Option<()>> {
    let mut filled = 0;
    while filled < text.len() {
        let most = text.len() - filled;
        let Some(piece) = poll_fn(|cx| connection.receive.poll_receive(cx, most)).await? else { return Ok(None) };
        text[filled..filled + piece.len()].copy_from_slice(&piece);
        filled += piece.len();
    }
    Ok(Some(()))
}
