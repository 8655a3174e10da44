use wasip3::sockets::types::{ErrorCode, IpSocketAddress, TcpSocket};
use wasip3::wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};
use wasip3::wit_stream;

use crate::address::{Loopback, port, shape};
use crate::saw;

type Ended = FutureReader<Result<(), ErrorCode>>;

/// A connection, from one end.
pub struct Stream {
    input: StreamReader<u8>,
    received: Ended,
    output: StreamWriter<u8>,
    sent: Ended,
    pub socket: TcpSocket,
}

impl Stream {
    fn over(socket: TcpSocket) -> Stream {
        let (output, data) = wit_stream::new();
        let sent = socket.send(data);
        let (input, received) = socket.receive();
        Stream { input, received, output, sent, socket }
    }
}

pub fn socket(loopback: Loopback) -> TcpSocket {
    TcpSocket::create(loopback.0).expect("a TCP socket")
}

/// A listener at a free port of loopback.
pub fn listener(loopback: Loopback) -> (TcpSocket, StreamReader<TcpSocket>) {
    let socket = socket(loopback);
    socket.bind(loopback.at(0)).expect("a free port");
    let accepted = socket.listen().expect("it listens");
    (socket, accepted)
}

/// Both ends of a connection over loopback.
pub async fn pair(loopback: Loopback, listener: &mut (TcpSocket, StreamReader<TcpSocket>)) -> (Stream, Stream) {
    let address = listener.0.get_local_address().expect("a listener has an address");
    let client = socket(loopback);
    client.connect(address).await.expect("somebody listens");
    let server = listener.1.next().await.expect("a connection");
    (Stream::over(client), Stream::over(server))
}

/// What each operation says in each state of a socket.
pub async fn states(loopback: Loopback) {
    let new = socket(loopback);
    saw("family", new.get_address_family());
    saw("unbound local", new.get_local_address());
    saw("unbound remote", new.get_remote_address());
    saw("unbound listening", new.get_is_listening());
    saw("unbound send", send_on(&new, b"x").await);
    saw("unbound receive", receive_on(&new).await);

    saw("bind", new.bind(loopback.at(0)));
    saw("bind again", new.bind(loopback.at(0)));
    saw("bound local", new.get_local_address().map(shape));
    saw("bound remote", new.get_remote_address());

    let accepted = new.listen();
    saw("listen", accepted.is_ok());
    saw("listening", new.get_is_listening());
    saw("listening listen", new.listen().map(drop));
    saw("listening bind", new.bind(loopback.at(0)));
    saw("listening connect", new.connect(loopback.at(1)).await);
    saw("listening local", new.get_local_address().map(shape));
    saw("listening remote", new.get_remote_address());
    saw("listening send", send_on(&new, b"x").await);

    let mut listener = (new, accepted.expect("it listens"));
    let (client, server) = pair(loopback, &mut listener).await;
    saw("connected connect", client.socket.connect(loopback.at(1)).await);
    saw("connected bind", client.socket.bind(loopback.at(0)));
    saw("connected listen", client.socket.listen().map(drop));
    saw("connected listening", client.socket.get_is_listening());
    saw("second send", send_on(&client.socket, b"x").await);
    saw("second receive", receive_on(&client.socket).await);
    saw("accepted family", server.socket.get_address_family());
    saw("accepted backlog", server.socket.set_listen_backlog_size(5));

    let unbound = socket(loopback);
    let accepted = unbound.listen();
    saw("listen unbound", accepted.is_ok());
    saw("listen unbound local", unbound.get_local_address().map(shape));
}

async fn send_on(socket: &TcpSocket, bytes: &[u8]) -> Result<(), ErrorCode> {
    let (mut output, data) = wit_stream::new();
    let sent = socket.send(data);
    output.write_all(bytes.to_vec()).await;
    drop(output);
    sent.await
}

async fn receive_on(socket: &TcpSocket) -> (Vec<u8>, Result<(), ErrorCode>) {
    let (input, received) = socket.receive();
    (input.collect().await, received.await)
}

pub async fn addresses(loopback: Loopback) {
    let tries = [
        ("other family", loopback.other()),
        ("foreign", loopback.foreign(0)),
        ("multicast", loopback.multicast()),
        ("odd", loopback.odd()),
        ("unspecified", loopback.unspecified(0)),
    ];
    for (what, address) in tries {
        let socket = socket(loopback);
        saw(&format!("bind {what}"), socket.bind(address));
        saw(&format!("bound {what}"), socket.get_local_address().map(shape));
    }
    let tries = [
        ("other family", loopback.other()),
        ("multicast", loopback.multicast()),
        ("odd", loopback.odd()),
        ("unspecified", loopback.unspecified(80)),
        ("no port", loopback.at(0)),
    ];
    for (what, address) in tries {
        let socket = socket(loopback);
        saw(&format!("connect to {what}"), (socket.connect(address).await, socket.get_local_address()));
    }

    let mut listener = listener(loopback);
    let taken = listener.0.get_local_address().expect("an address");
    saw("bind in use", socket(loopback).bind(taken));
    let (client, server) = pair(loopback, &mut listener).await;
    let ends =
        |stream: &Stream| (stream.socket.get_local_address().unwrap(), stream.socket.get_remote_address().unwrap());
    let (client_ends, server_ends) = (ends(&client), ends(&server));
    saw("client", (shape(client_ends.0), shape(client_ends.1)));
    saw("ends agree", port(client_ends.0) == port(server_ends.1) && port(client_ends.1) == port(server_ends.0));
    bound_client(loopback, taken).await;
    drop((client, server, listener));
    refused(loopback).await;
}

async fn bound_client(loopback: Loopback, to: IpSocketAddress) {
    let bound = socket(loopback);
    bound.bind(loopback.at(0)).expect("a free port");
    let from = bound.get_local_address().expect("an address");
    bound.connect(to).await.expect("somebody listens");
    saw("connects from where it is bound", port(bound.get_local_address().unwrap()) == port(from));
}

async fn refused(loopback: Loopback) {
    let free = {
        let gone = socket(loopback);
        gone.bind(loopback.at(0)).expect("a free port");
        gone.get_local_address().expect("an address")
    };
    saw("bind where one was", socket(loopback).bind(free));
    let refused = socket(loopback);
    saw("connect where nobody listens", refused.connect(free).await);
    saw("refused connect", refused.connect(free).await);
    saw("refused local", refused.get_local_address());
    saw("refused remote", refused.get_remote_address());
    saw("refused hop-limit", refused.get_hop_limit());
    saw("refused listening", refused.get_is_listening());
    saw("refused send", send_on(&refused, b"x").await);
}

/// Reads exactly so much.
async fn read(input: &mut StreamReader<u8>, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let (result, more) = input.read(Vec::with_capacity(length - bytes.len())).await;
        bytes.extend(more);
        if result == StreamResult::Dropped {
            break;
        }
    }
    bytes
}

pub async fn half_closes(loopback: Loopback) {
    let mut listener = listener(loopback);
    let (mut client, mut server) = pair(loopback, &mut listener).await;
    saw("all is written", client.output.write_all(b"ping".to_vec()).await.len());
    saw("read a part", read(&mut server.input, 2).await);
    saw("read the rest", read(&mut server.input, 2).await);
    server.output.write_all(b"pong".to_vec()).await;
    saw("read an answer", read(&mut client.input, 4).await);

    client.output.write_all(b"last".to_vec()).await;
    drop(client.output);
    saw("all is sent", client.sent.await);
    saw("the other reads", server.input.collect().await);
    saw("the other received", server.received.await);
    server.output.write_all(b"still here".to_vec()).await;
    drop(server.output);
    saw("the other has sent", server.sent.await);
    saw("the first reads", client.input.collect().await);
    saw("the first received", client.received.await);
    saw("local after it", client.socket.get_local_address().map(shape));

    let (mut client, mut server) = pair(loopback, &mut listener).await;
    server.output.write_all(b"unheard".to_vec()).await;
    drop(client.input);
    saw("shut down receiving", client.received.await);
    client.output.write_all(b"heard".to_vec()).await;
    saw("the other hears", read(&mut server.input, 5).await);
}

/// A writer that is not read from is stopped, and goes on once it is.
pub async fn back_pressure(loopback: Loopback) {
    const MOST: usize = 64 << 20;
    let mut listener = listener(loopback);
    let (mut client, mut server) = pair(loopback, &mut listener).await;
    let mut sent = 0;
    let left = loop {
        assert!(sent < MOST, "nothing stops the writer");
        let mut write = Box::pin(client.output.write(vec![7; 1 << 16]));
        let done = first(write.as_mut()).await;
        let (_, left) = match done {
            Some(done) => done,
            None => {
                let (_, left) = write.as_mut().cancel();
                break sent + (1 << 16) - left.remaining();
            }
        };
        sent += (1 << 16) - left.remaining();
    };
    saw("a writer is stopped", left > 0);
    saw("nothing was lost", read(&mut server.input, left).await.len() == left);
    client.output.write_all(b"on".to_vec()).await;
    saw("and goes on", read(&mut server.input, 2).await);
}

/// What a write comes to, unless it is still waiting after a while.
async fn first<F: Future + Unpin>(write: F) -> Option<F::Output> {
    let mut write = write;
    let pause = std::pin::pin!(wasip3::clocks::monotonic_clock::wait_for(200_000_000));
    let mut pause = pause;
    std::future::poll_fn(|cx| {
        use std::task::Poll;
        if let Poll::Ready(done) = std::pin::Pin::new(&mut write).poll(cx) {
            return Poll::Ready(Some(done));
        }
        pause.as_mut().poll(cx).map(|()| None)
    })
    .await
}

pub async fn ends(loopback: Loopback) {
    let mut listener = listener(loopback);
    let (mut client, mut server) = pair(loopback, &mut listener).await;
    client.output.write_all(b"farewell".to_vec()).await;
    drop(client);
    saw("after a drop the other reads", server.input.collect().await);
    saw("and received", server.received.await);
    let mut written = 0;
    while written < 10_000_000 && server.output.write_all(vec![0; 1000]).await.is_empty() {
        written += 1000;
    }
    saw("and cannot write for ever", written < 10_000_000);
    saw("and says so", server.sent.await.is_err());

    let waiting = socket(loopback);
    waiting.connect(listener.0.get_local_address().unwrap()).await.expect("somebody listens");
    drop(listener);
    let (input, received) = waiting.receive();
    saw("a connection that was never accepted ends", input.collect().await.len());
    drop(received);
}
