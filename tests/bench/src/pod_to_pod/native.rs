//! Two processes and the kernel's loopback between them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

use super::{Figures, PIECE, PING, TIME};
use crate::measure::Load;

/// The argument that makes this executable the other process.
pub(crate) const PEER: &str = "--native-peer";

/// What a connection begins with: everything is to be swallowed and counted, or answered.
const SWALLOW: u8 = b's';
const ANSWER: u8 = b'a';

/// Measures with another process as the peer.
pub(super) fn measure() -> Result<Figures> {
    let peer = Peer::start()?;
    let (bytes, took) = stream(peer.connect(SWALLOW)?)?;
    let pings = ping(peer.connect(ANSWER)?)?;
    Ok(Figures { bytes, took, pings })
}

/// Ends with its owner.
struct Peer {
    process: Child,
    port: u16,
}

impl Peer {
    fn start() -> Result<Peer> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process =
            command.arg(PEER).stdout(Stdio::piped()).spawn().context("cannot run this executable again")?;
        let mut port = String::new();
        BufReader::new(process.stdout.take().context("its output is piped")?).read_line(&mut port)?;
        Ok(Peer { process, port: port.trim().parse()? })
    }

    fn connect(&self, task: u8) -> Result<TcpStream> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_nodelay(true)?;
        stream.write_all(&[task])?;
        Ok(stream)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn stream(mut to: TcpStream) -> Result<(u64, std::time::Duration)> {
    let (begun, piece, mut bytes) = (Instant::now(), vec![1; PIECE], 0);
    while begun.elapsed() < TIME {
        to.write_all(&piece)?;
        bytes += PIECE as u64;
    }
    to.shutdown(std::net::Shutdown::Write)?;
    // It answers when it has read all.
    to.read_exact(&mut [0])?;
    Ok((bytes, begun.elapsed()))
}

fn ping(mut to: TcpStream) -> Result<Load> {
    let (begun, mut latencies, mut text) = (Instant::now(), Vec::new(), [0; PING]);
    while begun.elapsed() < TIME {
        let asked = Instant::now();
        to.write_all(&text)?;
        to.read_exact(&mut text)?;
        latencies.push(asked.elapsed());
    }
    Ok(Load::new(latencies, begun.elapsed()))
}

/// The other process: serves one connection after the other until it is killed.
pub(crate) fn peer() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut task = [0];
        stream.read_exact(&mut task)?;
        if task[0] == SWALLOW { swallow(stream)? } else { answer(stream) }
    }
}

fn swallow(mut stream: TcpStream) -> Result<()> {
    let mut piece = vec![0; PIECE];
    while stream.read(&mut piece)? > 0 {}
    Ok(stream.write_all(&[1])?)
}

fn answer(mut stream: TcpStream) {
    let mut text = [0; PING];
    while stream.read_exact(&mut text).is_ok() && stream.write_all(&text).is_ok() {}
}
