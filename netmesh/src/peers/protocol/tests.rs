use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use carob_net::Protocol;
use proptest::prelude::*;

use super::{Answer, Decoded, Header, MAX_PAYLOAD, MAX_WHY, Malformed, Origin, Reason, Refusal, fuzzing};

fn header() -> Header {
    Header {
        protocol: Protocol::Tcp,
        origin: Origin::Pod,
        source: "10.244.1.2:40000".parse().unwrap(),
        target: "10.244.2.3:80".parse().unwrap(),
    }
}

fn encoded(header: Header) -> Vec<u8> {
    let mut bytes = Vec::new();
    header.encode(&mut bytes);
    bytes
}

#[test]
fn a_header_is_written_as_the_protocol_says() {
    let bytes = encoded(header());
    assert_eq!(bytes, [1, 6, 0, 4, 10, 244, 1, 2, 0x9c, 0x40, 4, 10, 244, 2, 3, 0, 80]);
    let mixed = Header { source: "[2001:db8::1]:9".parse().unwrap(), origin: Origin::Outside, ..header() };
    let bytes = encoded(mixed);
    assert_eq!(bytes.len(), 3 + 19 + 7);
    assert_eq!(Header::decode(&bytes), Ok(Decoded::Whole(mixed)));
}

#[test]
fn what_is_wrong_with_a_header_is_said() {
    for (at, byte, why) in [
        (0, 2, Malformed::Version(2)),
        (1, 1, Malformed::Protocol(1)),
        (2, 2, Malformed::Origin(2)),
        (3, 5, Malformed::Family(5)),
        (4, 127, Malformed::Address),
        (10, 0, Malformed::Family(0)),
        (11, 224, Malformed::Address),
        (16, 0, Malformed::Address),
    ] {
        let mut bytes = encoded(header());
        bytes[at] = byte;
        assert_eq!(Header::decode(&bytes), Err(why), "byte {at} is {byte}");
    }
    for ip in ["::ffff:10.244.1.2", "::", "::1", "ff02::1"] {
        let source = SocketAddr::new(ip.parse().unwrap(), 1);
        assert_eq!(Header::decode(&encoded(Header { source, ..header() })), Err(Malformed::Address), "{ip}");
    }
}

#[test]
fn a_datagram_is_its_header_and_its_payload() {
    let udp = Header { protocol: Protocol::Udp, ..header() };
    assert_eq!(Header::split(udp.datagram(b"hello")), Ok((udp, Bytes::from_static(b"hello"))));
    assert_eq!(Header::split(udp.datagram(b"")), Ok((udp, Bytes::new())), "UDP may carry nothing");
    assert_eq!(Header::split(header().datagram(b"")), Err(Malformed::Protocol(6)));
    assert_eq!(Header::split(Bytes::from_static(&[1, 17, 0])), Err(Malformed::Short));
    let large = vec![0; MAX_PAYLOAD + 1];
    assert_eq!(Header::split(udp.datagram(&large)), Err(Malformed::Payload(MAX_PAYLOAD + 1)));
}

#[test]
fn the_words_of_a_refusal_are_bounded() {
    let refusal = Refusal::new(Reason::Denied, "é".repeat(MAX_WHY));
    assert_eq!(refusal.why.len(), MAX_WHY);
    let answer = Answer::Refused(refusal);
    assert_eq!(Answer::decode(&answer.encode()), Ok(Decoded::Whole(answer)));
    assert_eq!(Answer::decode(&[1, 2, 1]), Err(Malformed::Text), "513 bytes are announced");
    assert_eq!(Answer::decode(&[1, 0, 1, 0xff]), Err(Malformed::Text));
    assert_eq!(Answer::decode(&[9]), Err(Malformed::Reason(9)));
}

fn any_address() -> impl Strategy<Value = SocketAddr> {
    let ip = prop_oneof![
        any::<u32>().prop_map(|ip| IpAddr::from(ip.to_be_bytes())),
        any::<u128>().prop_map(|ip| { IpAddr::from(ip.to_be_bytes()) })
    ];
    (ip, any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

fn any_header() -> impl Strategy<Value = Header> {
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp)];
    let origin = prop_oneof![Just(Origin::Pod), Just(Origin::Outside)];
    (protocol, origin, any_address(), any_address()).prop_map(|(protocol, origin, source, target)| Header {
        protocol,
        origin,
        source,
        target,
    })
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
        fuzzing::run(&bytes);
    }

    /// Random bytes are seldom near a message.
    #[test]
    fn messages_with_a_byte_changed_are_read_or_refused(
        header in any_header(), payload in prop::collection::vec(any::<u8>(), 0..64), at in any::<prop::sample::Index>(),
        byte in any::<u8>(), length in any::<prop::sample::Index>(),
    ) {
        let mut bytes = header.datagram(&payload).to_vec();
        fuzzing::run(&bytes);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        fuzzing::run(&bytes);
        bytes.truncate(length.index(bytes.len()));
        fuzzing::run(&bytes);
    }

    #[test]
    fn any_refusal_arrives(why in ".{0,300}", reason in 1u8..=5) {
        let bytes = [&[reason][..], &(why.len() as u16).to_be_bytes(), why.as_bytes()].concat();
        fuzzing::run(&bytes);
        prop_assume!(why.len() <= MAX_WHY);
        let decoded = Answer::decode(&bytes);
        prop_assert!(matches!(decoded, Ok(Decoded::Whole(Answer::Refused(refusal))) if refusal.why == why));
    }
}
