use wasip3::sockets::types::ErrorCode;
use wasip3::sockets::types::TcpSocket;

use crate::address::Loopback;
use crate::saw;
use crate::tcp::{listener, pair, socket};

const SECOND: u64 = 1_000_000_000;

/// The options that have the same default everywhere.
fn defaults(socket: &TcpSocket) -> (Result<bool, ErrorCode>, [Result<u64, ErrorCode>; 4]) {
    let numbers = [
        socket.get_keep_alive_idle_time(),
        socket.get_keep_alive_interval(),
        socket.get_keep_alive_count().map(u64::from),
        socket.get_hop_limit().map(u64::from),
    ];
    (socket.get_keep_alive_enabled(), numbers)
}

fn zeros(socket: &TcpSocket) -> [Result<(), ErrorCode>; 7] {
    [
        socket.set_listen_backlog_size(0),
        socket.set_keep_alive_idle_time(0),
        socket.set_keep_alive_interval(0),
        socket.set_keep_alive_count(0),
        socket.set_hop_limit(0),
        socket.set_receive_buffer_size(0),
        socket.set_send_buffer_size(0),
    ]
}

fn set(socket: &TcpSocket) -> [Result<(), ErrorCode>; 8] {
    [
        socket.set_listen_backlog_size(7),
        socket.set_keep_alive_enabled(true),
        socket.set_keep_alive_idle_time(42 * SECOND),
        socket.set_keep_alive_interval(3 * SECOND),
        socket.set_keep_alive_count(5),
        socket.set_hop_limit(33),
        socket.set_receive_buffer_size(1 << 16),
        socket.set_send_buffer_size(1 << 15),
    ]
}

fn buffers(socket: &TcpSocket) -> [Result<u64, ErrorCode>; 2] {
    [socket.get_receive_buffer_size(), socket.get_send_buffer_size()]
}

pub async fn probe(loopback: Loopback) {
    let unbound = socket(loopback);
    saw("default options", defaults(&unbound));
    saw("default buffers", buffers(&unbound).map(|size| size.map(|size| size > 0)));
    saw("zeros", zeros(&unbound));
    saw("set", set(&unbound));
    saw("as set", (defaults(&unbound), buffers(&unbound)));
    saw("too short", unbound.set_keep_alive_idle_time(1).and_then(|()| unbound.get_keep_alive_idle_time()));
    saw("too long", unbound.set_keep_alive_interval(u64::MAX).and_then(|()| unbound.get_keep_alive_interval()));
    saw("too many", unbound.set_keep_alive_count(u32::MAX).and_then(|()| unbound.get_keep_alive_count()));
    saw("too far", unbound.set_hop_limit(u8::MAX).and_then(|()| unbound.get_hop_limit()));
    saw(
        "too large",
        unbound.set_send_buffer_size(u64::MAX).and_then(|()| unbound.get_send_buffer_size().map(|size| size > 0)),
    );
    saw("too small", unbound.set_receive_buffer_size(1).and_then(|()| unbound.get_receive_buffer_size()));
    saw("bound zeros", unbound.bind(loopback.at(0)).map(|()| zeros(&unbound)));
    saw("bound set", set(&unbound));

    let mut listener = listener(loopback);
    saw("listening set", set(&listener.0));
    saw("listening as set", (defaults(&listener.0), buffers(&listener.0)));
    let (client, server) = pair(loopback, &mut listener).await;
    saw("accepted inherits", defaults(&server.socket));
    saw("accepted buffers", buffers(&server.socket));
    saw("connected set", set(&client.socket));
    saw("connected as set", defaults(&client.socket));
    saw("connected zeros", zeros(&client.socket));
}
