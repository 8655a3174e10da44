//! Questions by UDP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::answerer::{Answerer, Over, Step};

/// Packets that are answered before others have their turn.
const BATCH: usize = 64;
/// No question is longer (RFC 6891 allows more, which nobody uses for questions).
const MOST_BYTES: usize = 4096;

/// Answers until `stop`. What others are asked for is answered as their answers come.
pub(super) async fn serve(socket: UdpSocket, answerer: Arc<Answerer>, stop: CancellationToken) {
    let socket = Arc::new(socket);
    let mut asking = JoinSet::new();
    let mut buffer = vec![0; MOST_BYTES];
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = asking.join_next() => {}
            ready = socket.readable() => match ready {
                Ok(()) => answer_some(&socket, &answerer, &mut asking, &mut buffer),
                Err(error) => tracing::warn!(%error, "cannot wait for questions"),
            },
        }
    }
}

fn answer_some(socket: &Arc<UdpSocket>, answerer: &Arc<Answerer>, asking: &mut JoinSet<()>, buffer: &mut [u8]) {
    for _ in 0..BATCH {
        let (length, from) = match socket.try_recv_from(buffer) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            // Linux tells here of an earlier answer that nobody wanted.
            Err(_) => continue,
        };
        match answerer.begin(&buffer[..length], Over::Udp) {
            Step::Nothing => {}
            Step::Send(answer) => send(socket, &answer, from),
            Step::Ask(pending) => {
                let (socket, answerer) = (socket.clone(), answerer.clone());
                asking.spawn(async move { send(&socket, &answerer.ask(*pending).await, from) });
            }
        }
    }
}

/// An answer that does not fit into the socket's buffer is lost like any datagram: its client asks again.
fn send(socket: &UdpSocket, answer: &[u8], to: SocketAddr) {
    if let Err(error) = socket.try_send_to(answer, to) {
        tracing::debug!(%to, %error, "an answer was lost");
    }
}
