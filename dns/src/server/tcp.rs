//! Questions by TCP (RFC 7766): several at one time on one connection, answered in whatever order.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::answerer::{Answerer, Over, Step};

/// Connections at one time. The next one is closed.
const MOST_CONNECTIONS: usize = 256;
/// Questions of one connection that are under way; the next is read when one of them is answered.
const MOST_UNDER_WAY: usize = 32;
/// For a question to come, and for an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves connections until `stop`.
pub(super) async fn serve(listener: TcpListener, answerer: Arc<Answerer>, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match (accepted, places.clone().try_acquire_owned()) {
            (Ok((stream, _)), Ok(place)) => {
                let answerer = answerer.clone();
                connections.spawn(async move {
                    let _place = place;
                    // A client that goes away, or says nothing, is no news.
                    let _ = connection(stream, answerer).await;
                });
            }
            (Ok(_), Err(_)) => tracing::debug!("a connection more than there may be"),
            (Err(error), _) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, answerer: Arc<Answerer>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    let (answers, waiting) = mpsc::channel(MOST_UNDER_WAY);
    // Either end of a connection ends the other: nobody waits for answers that cannot be written.
    tokio::try_join!(questions(read, answerer, answers), write_all(write, waiting)).map(drop)
}

async fn questions(read: OwnedReadHalf, answerer: Arc<Answerer>, answers: mpsc::Sender<Vec<u8>>) -> io::Result<()> {
    let mut read = BufReader::new(read);
    let mut asking = JoinSet::new();
    while let Some(packet) = timeout(PATIENCE, question(&mut read)).await?? {
        match answerer.begin(&packet, Over::Tcp) {
            Step::Nothing => break,
            Step::Send(answer) => answers.send(answer).await.map_err(io::Error::other)?,
            Step::Ask(pending) => {
                let (answerer, answers) = (answerer.clone(), answers.clone());
                asking.spawn(async move { answers.send(answerer.ask(*pending).await).await.is_ok() });
            }
        }
        if asking.len() >= MOST_UNDER_WAY {
            asking.join_next().await;
        }
    }
    // Who has ended asking still gets the answers.
    while asking.join_next().await.is_some() {}
    Ok(())
}

/// The next question; none after the client's last.
async fn question(read: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Vec<u8>>> {
    let length = match read.read_u16().await {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut packet = vec![0; length.into()];
    read.read_exact(&mut packet).await?;
    Ok(Some(packet))
}

async fn write_all(mut write: OwnedWriteHalf, mut answers: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    while let Some(answer) = answers.recv().await {
        // One write, so that length and answer are one segment.
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        timeout(PATIENCE, write.write_all(&[&length.to_be_bytes()[..], answer.as_slice()].concat())).await??;
    }
    write.shutdown().await
}
