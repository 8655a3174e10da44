//! A client that costs little beside what it measures: it writes a fixed request and counts the bytes of the answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::measure::Load;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n";

/// One connection that is kept.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The length of every answer of this server, once the first was read: the greetings are all the same.
    length: Option<usize>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: vec![0; 4096], length: None })
    }

    /// Asks once, and reads the answer to its end.
    pub(crate) async fn get(&mut self) -> Result<()> {
        self.stream.write_all(REQUEST).await?;
        let mut read = 0;
        while !self.is_whole(read) {
            let more = self.stream.read(&mut self.buffer[read..]).await?;
            ensure!(more > 0, "the server closed the connection");
            read += more;
        }
        self.length = Some(read);
        ensure!(
            self.buffer.starts_with(b"HTTP/1.1 200"),
            "not a 200: {}",
            String::from_utf8_lossy(&self.buffer[..read])
        );
        Ok(())
    }

    fn is_whole(&self, read: usize) -> bool {
        match self.length {
            Some(length) => read >= length,
            None => ends(&self.buffer[..read]),
        }
    }
}

/// Whether an answer, chunked or of a given length, is here to its end.
fn ends(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let head = head.to_ascii_lowercase();
    match head.lines().find_map(|line| line.strip_prefix("content-length: ")) {
        Some(length) => body.len().to_string() == length.trim(),
        None => body.ends_with("0\r\n\r\n"),
    }
}

/// Waits until the server answers with 200.
pub(crate) async fn until_answered(address: SocketAddr) -> Result<()> {
    let answered = async {
        while Connection::open(address).await?.get().await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, answered).await.context("the server does not answer")?
}

/// How much longer than its time a load may take: a server that no longer answers is a failure, not a wait for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks on `connections` for `time`, from one thread of its own, so that every contender has the same beside it.
pub(crate) async fn load(address: SocketAddr, connections: usize, time: Duration) -> Result<Load> {
    let client = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let asking = async { tokio::time::timeout(time + PATIENCE, ask(address, connections, time)).await };
        runtime.block_on(asking).context("the server has stopped to answer")?
    });
    tokio::task::spawn_blocking(|| client.join()).await?.ok().context("the client panicked")?
}

async fn ask(address: SocketAddr, connections: usize, time: Duration) -> Result<Load> {
    let mut open = Vec::new();
    for _ in 0..connections {
        let mut connection = Connection::open(address).await?;
        connection.get().await?;
        open.push(connection);
    }
    let begun = Instant::now();
    let mut running: JoinSet<Result<Vec<Duration>>> = open.into_iter().map(|it| keep_asking(it, begun, time)).collect();
    let mut latencies = Vec::new();
    while let Some(of_one) = running.join_next().await {
        latencies.extend(of_one??);
    }
    Ok(Load::new(latencies, begun.elapsed()))
}

async fn keep_asking(mut connection: Connection, begun: Instant, time: Duration) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    while begun.elapsed() < time {
        let asked = Instant::now();
        connection.get().await?;
        latencies.push(asked.elapsed());
    }
    Ok(latencies)
}
