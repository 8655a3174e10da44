use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{ErrorCode, IpSocketAddress};
use wasip2::sockets::udp::{IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream, UdpSocket};
use wasip2::sockets::udp_create_socket::create_udp_socket;

use crate::address::{Loopback, shape};
use crate::saw;

fn socket(loopback: Loopback) -> UdpSocket {
    create_udp_socket(loopback.0).expect("a UDP socket")
}

fn bind(socket: &UdpSocket, address: IpSocketAddress) -> Result<(), ErrorCode> {
    socket.start_bind(&instance_network(), address)?;
    socket.subscribe().block();
    socket.finish_bind()
}

fn bound(loopback: Loopback) -> UdpSocket {
    let socket = socket(loopback);
    bind(&socket, loopback.at(0)).expect("a free port");
    socket
}

pub fn states(loopback: Loopback) {
    let new = socket(loopback);
    saw("udp family", new.address_family());
    saw("udp unbound local", new.local_address());
    saw("udp unbound remote", new.remote_address());
    saw("udp unbound stream", new.stream(None).map(drop));
    saw("udp unbound finish-bind", new.finish_bind());
    saw("udp start-bind", new.start_bind(&instance_network(), loopback.at(0)));
    saw("udp start-bind while binding", new.start_bind(&instance_network(), loopback.at(0)));
    saw("udp finish-bind", new.finish_bind());
    saw("udp finish-bind again", new.finish_bind());
    saw("udp bound start-bind", new.start_bind(&instance_network(), loopback.at(0)));
    saw("udp bound local", new.local_address().map(shape));
    saw("udp bound remote", new.remote_address());
    let taken = new.local_address().expect("an address");
    let tries = [
        ("in use", taken),
        ("other family", loopback.other()),
        ("foreign", loopback.foreign(0)),
        ("unspecified", loopback.unspecified(0)),
    ];
    for (what, address) in tries {
        let socket = socket(loopback);
        saw(&format!("udp bind {what}"), bind(&socket, address));
        saw(&format!("udp bound {what}"), socket.local_address().map(shape));
    }
    for (what, address) in
        [("other family", loopback.other()), ("unspecified", loopback.unspecified(80)), ("no port", loopback.at(0))]
    {
        saw(&format!("udp stream to {what}"), new.stream(Some(address)).map(drop));
    }
}

pub fn options(loopback: Loopback) {
    let socket = socket(loopback);
    let zeros = [socket.set_unicast_hop_limit(0), socket.set_receive_buffer_size(0), socket.set_send_buffer_size(0)];
    saw("udp zeros", zeros);
    saw("udp default hop limit", socket.unicast_hop_limit());
    saw(
        "udp default buffers",
        [socket.receive_buffer_size(), socket.send_buffer_size()].map(|size| size.map(|size| size > 0)),
    );
    let set = [
        socket.set_unicast_hop_limit(9),
        socket.set_receive_buffer_size(1 << 16),
        socket.set_send_buffer_size(1 << 15),
    ];
    saw("udp set", set);
    saw("udp as set", (socket.unicast_hop_limit(), socket.receive_buffer_size(), socket.send_buffer_size()));
}

fn datagram(data: &[u8], to: Option<IpSocketAddress>) -> OutgoingDatagram {
    OutgoingDatagram { data: data.to_vec(), remote_address: to }
}

fn send(stream: &OutgoingDatagramStream, datagrams: &[OutgoingDatagram]) -> Result<u64, ErrorCode> {
    stream.subscribe().block();
    stream.check_send()?;
    stream.send(datagrams)
}

fn receive(stream: &IncomingDatagramStream) -> Result<Vec<u8>, ErrorCode> {
    stream.subscribe().block();
    let datagram = stream.receive(1)?.pop().expect("one was waited for");
    Ok(datagram.data)
}

/// At a port that it has asked for: Linux takes any other away when a socket is disconnected.
fn bound_for_good(loopback: Loopback) -> UdpSocket {
    let free = bound(loopback).local_address().expect("an address");
    let socket = socket(loopback);
    bind(&socket, free).expect("it is free again");
    socket
}

pub fn datagrams(loopback: Loopback) {
    let (one, two, three) = (bound(loopback), bound_for_good(loopback), bound(loopback));
    let address = |socket: &UdpSocket| socket.local_address().expect("an address");
    let (to_one, to_two) = (address(&one), address(&two));
    let (one_in, one_out) = one.stream(None).expect("streams");
    let (two_in, two_out) = two.stream(Some(to_one)).expect("streams");
    let (_three_in, three_out) = three.stream(None).expect("streams");

    saw("udp may send", one_out.check_send().map(|most| most > 0));
    saw("udp send nothing", one_out.send(&[]));
    saw("udp nothing there", one_in.receive(4).map(|all| all.len()));
    saw("udp receive none", one_in.receive(0).map(|all| all.len()));
    saw("udp connected remote", two.remote_address().map(shape));
    saw("udp send to nobody", send(&one_out, &[datagram(b"?", None)]));
    saw("udp send to no port", send(&one_out, &[datagram(b"?", Some(loopback.at(0)))]));
    saw("udp send to the other family", send(&one_out, &[datagram(b"?", Some(loopback.other()))]));
    saw("udp send elsewhere", send(&two_out, &[datagram(b"?", Some(to_two))]));

    saw("udp send", send(&two_out, &[datagram(b"a", None), datagram(b"bc", Some(to_one)), datagram(b"", None)]));
    let received: Vec<_> = (0..3).map(|_| receive(&one_in)).collect();
    saw("udp received", received);
    saw("udp answer", send(&one_out, &[datagram(b"back", Some(to_two))]));
    saw("udp a stranger", send(&three_out, &[datagram(b"stranger", Some(to_two))]));
    saw("udp answer again", send(&one_out, &[datagram(b"again", Some(to_two))]));
    saw("udp hears one alone", (receive(&two_in), receive(&two_in)));
    let long = vec![0; 60_000];
    saw("udp long", send(&two_out, &[datagram(&long, None)]).and_then(|_| receive(&one_in)).map(|data| data.len()));
    saw("udp too long", send(&two_out, &[datagram(&vec![0; 65_508], None)]));
    saw("udp far too long", send(&two_out, &[datagram(&vec![0; 70_000], None)]));
    saw("udp some then an error", send(&one_out, &[datagram(b"x", Some(to_two)), datagram(b"?", None)]));

    drop((two_in, two_out));
    let (two_in, two_out) = two.stream(None).expect("streams");
    saw("udp disconnected remote", two.remote_address());
    saw("udp send to a stranger", send(&three_out, &[datagram(b"hello", Some(to_two))]));
    saw("udp hears", receive(&two_in).is_ok());
    saw("udp local stays", two.local_address().map(shape));
    drop(two_out);
}
