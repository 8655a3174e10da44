use wasip3::sockets::types::{ErrorCode, UdpSocket};

use crate::address::{Loopback, shape};
use crate::saw;

fn socket(loopback: Loopback) -> UdpSocket {
    UdpSocket::create(loopback.0).expect("a UDP socket")
}

fn bound(loopback: Loopback) -> UdpSocket {
    let socket = socket(loopback);
    socket.bind(loopback.at(0)).expect("a free port");
    socket
}

pub async fn states(loopback: Loopback) {
    let new = socket(loopback);
    saw("udp family", new.get_address_family());
    saw("udp unbound local", new.get_local_address());
    saw("udp unbound remote", new.get_remote_address());
    saw("udp unbound receive", new.receive().await.map(drop));
    saw("udp unbound disconnect", new.disconnect());
    saw("udp bind", new.bind(loopback.at(0)));
    saw("udp bind again", new.bind(loopback.at(0)));
    saw("udp bound local", new.get_local_address().map(shape));
    saw("udp bound remote", new.get_remote_address());
    let taken = new.get_local_address().expect("an address");
    let tries = [
        ("in use", taken),
        ("other family", loopback.other()),
        ("foreign", loopback.foreign(0)),
        ("unspecified", loopback.unspecified(0)),
    ];
    for (what, address) in tries {
        let socket = socket(loopback);
        saw(&format!("udp bind {what}"), socket.bind(address));
        saw(&format!("udp bound {what}"), socket.get_local_address().map(shape));
    }
    for (what, address) in
        [("other family", loopback.other()), ("unspecified", loopback.unspecified(80)), ("no port", loopback.at(0))]
    {
        saw(&format!("udp connect to {what}"), new.connect(address));
    }
    let implicit = socket(loopback);
    saw("udp unbound connect", implicit.connect(taken));
    saw("udp unbound connected local", implicit.get_local_address().map(shape));
    let implicit = socket(loopback);
    saw("udp unbound send", implicit.send(b"!".to_vec(), Some(taken)).await);
    saw("udp unbound sent local", implicit.get_local_address().map(shape));
}

pub fn options(loopback: Loopback) {
    let socket = socket(loopback);
    let zeros = [socket.set_unicast_hop_limit(0), socket.set_receive_buffer_size(0), socket.set_send_buffer_size(0)];
    saw("udp zeros", zeros);
    saw("udp default hop limit", socket.get_unicast_hop_limit());
    let buffers = [socket.get_receive_buffer_size(), socket.get_send_buffer_size()];
    saw("udp default buffers", buffers.map(|size| size.map(|size| size > 0)));
    let set = [
        socket.set_unicast_hop_limit(9),
        socket.set_receive_buffer_size(1 << 16),
        socket.set_send_buffer_size(1 << 15),
    ];
    saw("udp set", set);
    saw(
        "udp as set",
        (socket.get_unicast_hop_limit(), socket.get_receive_buffer_size(), socket.get_send_buffer_size()),
    );
}

async fn receive(socket: &UdpSocket) -> Result<Vec<u8>, ErrorCode> {
    socket.receive().await.map(|(data, _)| data)
}

/// At a port that it has asked for: Linux takes any other away when a socket is disconnected.
fn bound_for_good(loopback: Loopback) -> UdpSocket {
    let free = bound(loopback).get_local_address().expect("an address");
    let socket = socket(loopback);
    socket.bind(free).expect("it is free again");
    socket
}

pub async fn datagrams(loopback: Loopback) {
    let (one, two, three) = (bound(loopback), bound_for_good(loopback), bound(loopback));
    let address = |socket: &UdpSocket| socket.get_local_address().expect("an address");
    let (to_one, to_two) = (address(&one), address(&two));
    let bytes = |text: &str| text.as_bytes().to_vec();
    saw("udp connect", two.connect(to_one));
    saw("udp connected remote", two.get_remote_address().map(shape));
    saw("udp send to nobody", one.send(bytes("?"), None).await);
    saw("udp send to no port", one.send(bytes("?"), Some(loopback.at(0))).await);
    saw("udp send to the other family", one.send(bytes("?"), Some(loopback.other())).await);
    saw("udp send elsewhere", two.send(bytes("?"), Some(to_two)).await);

    saw("udp send", two.send(bytes("a"), None).await);
    saw("udp send with its address", two.send(bytes("bc"), Some(to_one)).await);
    saw("udp send nothing", two.send(vec![], None).await);
    saw("udp received", (receive(&one).await, receive(&one).await, receive(&one).await));
    saw("udp answer", one.send(bytes("back"), Some(to_two)).await);
    saw("udp a stranger", three.send(bytes("stranger"), Some(to_two)).await);
    saw("udp answer again", one.send(bytes("again"), Some(to_two)).await);
    saw("udp from whom", two.receive().await.map(|(data, from)| (data, shape(from))));
    saw("udp hears one alone", receive(&two).await);
    saw("udp long", (two.send(vec![0; 60_000], None).await, receive(&one).await.map(|data| data.len())));
    saw("udp too long", two.send(vec![0; 65_508], None).await);
    saw("udp far too long", two.send(vec![0; 70_000], None).await);

    saw("udp disconnect", two.disconnect());
    saw("udp disconnect again", two.disconnect());
    saw("udp disconnected remote", two.get_remote_address());
    saw("udp send to a stranger", three.send(bytes("hello"), Some(to_two)).await);
    saw("udp hears", receive(&two).await.is_ok());
    saw("udp local stays", two.get_local_address().map(shape));
}
