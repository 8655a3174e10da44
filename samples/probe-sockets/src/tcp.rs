use wasip2::io::streams::{InputStream, OutputStream, StreamError};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{ErrorCode, IpSocketAddress};
use wasip2::sockets::tcp::{ShutdownType, TcpSocket};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

use crate::address::{Loopback, port, shape};
use crate::saw;

/// A connection, from one end. The streams go before the socket.
pub struct Stream {
    pub input: InputStream,
    pub output: OutputStream,
    pub socket: TcpSocket,
}

pub fn socket(loopback: Loopback) -> TcpSocket {
    create_tcp_socket(loopback.0).expect("a TCP socket")
}

pub fn bind(socket: &TcpSocket, address: IpSocketAddress) -> Result<(), ErrorCode> {
    socket.start_bind(&instance_network(), address)?;
    socket.subscribe().block();
    socket.finish_bind()
}

fn listen(socket: &TcpSocket) -> Result<(), ErrorCode> {
    socket.start_listen()?;
    socket.subscribe().block();
    socket.finish_listen()
}

/// A listener at a free port of loopback.
pub fn listener(loopback: Loopback) -> TcpSocket {
    let socket = socket(loopback);
    bind(&socket, loopback.at(0)).expect("a free port");
    listen(&socket).expect("it listens");
    socket
}

fn connect(socket: TcpSocket, address: IpSocketAddress) -> Result<Stream, (TcpSocket, ErrorCode)> {
    if let Err(error) = socket.start_connect(&instance_network(), address) {
        return Err((socket, error));
    }
    socket.subscribe().block();
    match socket.finish_connect() {
        Ok((input, output)) => Ok(Stream { input, output, socket }),
        Err(error) => Err((socket, error)),
    }
}

fn accept(listener: &TcpSocket) -> Stream {
    loop {
        match listener.accept() {
            Ok((socket, input, output)) => return Stream { input, output, socket },
            Err(ErrorCode::WouldBlock) => listener.subscribe().block(),
            Err(error) => panic!("accept: {error:?}"),
        }
    }
}

/// Both ends of a connection over loopback.
pub fn pair(loopback: Loopback, listener: &TcpSocket) -> (Stream, Stream) {
    let address = listener.local_address().expect("a listener has an address");
    let Ok(client) = connect(socket(loopback), address) else { panic!("nobody listens") };
    (client, accept(listener))
}

/// What each operation says in each state of a socket.
pub fn states(loopback: Loopback) {
    let new = socket(loopback);
    saw("family", new.address_family());
    saw("unbound local", new.local_address());
    saw("unbound remote", new.remote_address());
    saw("unbound listening", new.is_listening());
    saw("unbound start-listen", new.start_listen());
    saw("unbound accept", new.accept().map(drop));
    saw("unbound shutdown", new.shutdown(ShutdownType::Both));
    saw("unbound finish-bind", new.finish_bind());
    saw("unbound finish-listen", new.finish_listen());
    saw("unbound finish-connect", new.finish_connect().map(drop));

    saw("start-bind", new.start_bind(&instance_network(), loopback.at(0)));
    saw("start-bind while binding", new.start_bind(&instance_network(), loopback.at(0)));
    saw("start-listen while binding", new.start_listen());
    saw("start-connect while binding", new.start_connect(&instance_network(), loopback.at(1)));
    saw("finish-bind", new.finish_bind());
    saw("finish-bind again", new.finish_bind());
    saw("bound start-bind", new.start_bind(&instance_network(), loopback.at(0)));
    saw("bound local", new.local_address().map(shape));
    saw("bound remote", new.remote_address());
    saw("bound accept", new.accept().map(drop));

    saw("start-listen", new.start_listen());
    saw("start-listen while listening begins", new.start_listen());
    saw("finish-listen", new.finish_listen());
    saw("listening", new.is_listening());
    saw("listening start-listen", new.start_listen());
    saw("listening start-bind", new.start_bind(&instance_network(), loopback.at(0)));
    saw("listening start-connect", new.start_connect(&instance_network(), loopback.at(1)));
    saw("listening accept", new.accept().map(drop));
    saw("listening shutdown", new.shutdown(ShutdownType::Send));
    saw("listening local", new.local_address().map(shape));
    saw("listening remote", new.remote_address());

    let (client, server) = pair(loopback, &new);
    saw("connected start-connect", client.socket.start_connect(&instance_network(), loopback.at(1)));
    saw("connected start-bind", client.socket.start_bind(&instance_network(), loopback.at(0)));
    saw("connected start-listen", client.socket.start_listen());
    saw("connected accept", client.socket.accept().map(drop));
    saw("connected finish-connect", client.socket.finish_connect().map(drop));
    saw("connected listening", client.socket.is_listening());
    saw("accepted family", server.socket.address_family());
    saw("accepted backlog", server.socket.set_listen_backlog_size(5));
}

pub fn addresses(loopback: Loopback) {
    let tries = [
        ("other family", loopback.other()),
        ("foreign", loopback.foreign(0)),
        ("multicast", loopback.multicast()),
        ("odd", loopback.odd()),
        ("unspecified", loopback.unspecified(0)),
    ];
    for (what, address) in tries {
        let socket = socket(loopback);
        saw(&format!("bind {what}"), bind(&socket, address));
        saw(&format!("bound {what}"), socket.local_address().map(shape));
    }
    let tries = [
        ("other family", loopback.other()),
        ("multicast", loopback.multicast()),
        ("odd", loopback.odd()),
        ("unspecified", loopback.unspecified(80)),
        ("no port", loopback.at(0)),
    ];
    for (what, address) in tries {
        let Err((socket, error)) = connect(socket(loopback), address) else { panic!("connected to {what}") };
        saw(&format!("connect to {what}"), (error, socket.local_address()));
    }

    let listener = listener(loopback);
    let taken = listener.local_address().expect("an address");
    saw("bind in use", bind(&socket(loopback), taken));
    let (client, server) = pair(loopback, &listener);
    let ends = |stream: &Stream| (stream.socket.local_address().unwrap(), stream.socket.remote_address().unwrap());
    let (client_ends, server_ends) = (ends(&client), ends(&server));
    saw("client", (shape(client_ends.0), shape(client_ends.1)));
    saw("ends agree", port(client_ends.0) == port(server_ends.1) && port(client_ends.1) == port(server_ends.0));

    let bound = socket(loopback);
    bind(&bound, loopback.at(0)).expect("a free port");
    let from = bound.local_address().expect("an address");
    let Ok(client) = connect(bound, taken) else { panic!("nobody listens") };
    saw("connects from where it is bound", port(client.socket.local_address().unwrap()) == port(from));
    drop((client, server, listener));

    let free = {
        let gone = socket(loopback);
        bind(&gone, loopback.at(0)).expect("a free port");
        gone.local_address().expect("an address")
    };
    saw("bind where one was", bind(&socket(loopback), free));
    let Err((refused, error)) = connect(socket(loopback), free) else { panic!("somebody listens") };
    saw("connect where nobody listens", error);
    saw("refused start-connect", refused.start_connect(&instance_network(), free));
    saw("refused local", refused.local_address());
    saw("refused remote", refused.remote_address());
    saw("refused hop-limit", refused.hop_limit());
    saw("refused listening", refused.is_listening());
}

/// Sends all of it and waits until it has gone.
fn send(output: &OutputStream, bytes: &[u8]) {
    output.blocking_write_and_flush(bytes).expect("it can be sent");
}

/// Reads to the end.
fn rest(input: &InputStream) -> (Vec<u8>, String) {
    let mut bytes = Vec::new();
    loop {
        match input.blocking_read(1 << 16) {
            Ok(more) => bytes.extend(more),
            Err(StreamError::Closed) => return (bytes, "the end".to_owned()),
            Err(StreamError::LastOperationFailed(_)) => return (bytes, "a failure".to_owned()),
        }
    }
}

fn closed<T>(result: Result<T, StreamError>) -> Result<(), &'static str> {
    result.map(drop).map_err(|error| match error {
        StreamError::Closed => "closed",
        StreamError::LastOperationFailed(_) => "failed",
    })
}

pub fn half_closes(loopback: Loopback) {
    let listener = listener(loopback);
    let (client, server) = pair(loopback, &listener);
    saw("nothing to read yet", client.input.read(10).map(|bytes| bytes.len()).ok());
    saw("room to write", client.output.check_write().map(|room| room > 0).ok());
    send(&client.output, b"ping");
    server.input.subscribe().block();
    saw("read a part", server.input.read(2).ok());
    saw("read the rest", server.input.blocking_read(100).ok());
    send(&server.output, b"pong");
    saw("read an answer", client.input.blocking_read(4).ok());

    send(&client.output, b"last");
    saw("shut down sending", client.socket.shutdown(ShutdownType::Send));
    saw("write after it", closed(client.output.check_write()));
    saw("the other reads", rest(&server.input));
    saw("reads again", closed(server.input.read(1)));
    send(&server.output, b"still here");
    saw("shut down the other", server.socket.shutdown(ShutdownType::Send));
    saw("the first reads", rest(&client.input));
    saw("shut down again", client.socket.shutdown(ShutdownType::Both));
    saw("local after it", client.socket.local_address().map(shape));

    let (client, server) = pair(loopback, &listener);
    send(&server.output, b"unheard");
    saw("shut down receiving", client.socket.shutdown(ShutdownType::Receive));
    saw("read after it", closed(client.input.read(10)));
    send(&client.output, b"heard");
    saw("the other hears", server.input.blocking_read(5).ok());
    drop(client);
    saw("the other reads to", rest(&server.input).1);
}

/// A writer that is not read from is stopped, and goes on once it is.
pub fn back_pressure(loopback: Loopback) {
    const MOST: usize = 64 << 20;
    let listener = listener(loopback);
    let (client, server) = pair(loopback, &listener);
    let piece = vec![7; 1 << 16];
    let mut sent = 0;
    loop {
        let room = client.output.check_write().expect("it is open") as usize;
        if room == 0 {
            break;
        }
        let some = room.min(piece.len());
        client.output.write(&piece[..some]).expect("it was permitted");
        sent += some;
        assert!(sent < MOST, "nothing stops the writer");
    }
    saw("a writer is stopped", sent > 0);
    let mut read = 0;
    while read < sent {
        read += server.input.blocking_read(1 << 16).expect("there is more").len();
    }
    client.output.subscribe().block();
    saw("and goes on", client.output.check_write().map(|room| room > 0).ok());
    saw("nothing was lost", read == sent);
    saw("nothing was added", server.input.read(1).map(|bytes| bytes.len()).ok());
}

pub fn ends(loopback: Loopback) {
    let listener = listener(loopback);
    let (client, server) = pair(loopback, &listener);
    send(&client.output, b"farewell");
    drop(client);
    saw("after a drop the other reads", rest(&server.input));
    let mut written = 0;
    let failed = loop {
        match server.output.blocking_write_and_flush(&[0; 1000]) {
            Ok(()) if written > 10_000_000 => break false,
            Ok(()) => written += 1000,
            Err(_) => break true,
        }
    };
    saw("and cannot write for ever", failed);
    saw("nor at all from then on", closed(server.output.check_write()));

    let Ok(waiting) = connect(socket(loopback), listener.local_address().unwrap()) else { panic!("nobody listens") };
    drop(listener);
    saw("a connection that was never accepted ends", !rest(&waiting.input).1.is_empty());
}
