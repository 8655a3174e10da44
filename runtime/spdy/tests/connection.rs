//! The protocol against the bytes of the client that kubectl uses, and against any bytes at all.
#![allow(clippy::unwrap_used, reason = "it is all test code")]

use carob_spdy::{Connection, Error, Event, ResetStatus, StreamId};
use proptest::prelude::*;

/// What `moby/spdystream` writes: it opens 1 and ends its side of it, opens 3 and sends "hello" on it with its end, both with
/// the headers of a port-forward; then a PING and a GOAWAY.
const CLIENT: &str = "800300010100003e0000000100000000000078f9e3c6a7c202253a703a2b294a4dcc851625aca9a0808614cb45e0\
    1c60616061c0c0c0c0590489c64c50f2663400000000ffff800300010000001a00000003000000000000826a26ac0ad5785049950800\
    0000ffff000000030100000568656c6c6f80030006000000040000000180030007000000080000000000000000";

fn client() -> Vec<u8> {
    let digits: Vec<u8> = CLIENT.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn events(connection: &mut Connection) -> Vec<Event> {
    std::iter::from_fn(|| connection.event().unwrap()).collect()
}

fn control(kind: u8, flags: u8, body: &[u8]) -> Vec<u8> {
    [&[0x80, 3, 0, kind, flags, 0, 0, body.len() as u8], body].concat()
}

/// A connection in which the client has opened 1 and 3, and ended 1; nothing is left to send.
fn opened() -> Connection {
    let mut connection = Connection::new(10);
    connection.receive(&client()[..70 + 34]);
    assert_eq!(events(&mut connection).len(), 3);
    connection.reply(StreamId(1));
    connection.reply(StreamId(3));
    connection.output();
    connection
}

#[test]
fn the_bytes_of_a_real_client_are_understood_however_they_are_cut() {
    for piece in [1, 7, 1000] {
        let mut connection = Connection::new(10);
        let mut all = Vec::new();
        for bytes in client().chunks(piece) {
            connection.receive(bytes);
            all.extend(events(&mut connection));
        }
        let data: Vec<u8> = all
            .iter()
            .filter_map(|event| match event {
                Event::Data(StreamId(3), bytes) => Some(bytes.to_vec()),
                _ => None,
            })
            .flatten()
            .collect();
        assert_eq!(data, b"hello");
        all.retain(|event| !matches!(event, Event::Data(..)));
        let [Event::Opened(StreamId(1), first), rest @ ..] = all.as_slice() else { panic!("{all:?}") };
        let [Event::Finished(StreamId(1)), Event::Opened(StreamId(3), second), rest @ ..] = rest else {
            panic!("{all:?}")
        };
        assert_eq!(rest, [Event::Finished(StreamId(3)), Event::GoAway]);
        assert_eq!((first.value("streamtype"), first.value("port")), (Some("error"), Some("8080")));
        assert_eq!((second.value("streamtype"), second.value("requestid")), (Some("data"), Some("0")));
        assert_eq!(connection.output(), control(6, 0, &[0, 0, 0, 1]), "the ping is answered");
    }
}

#[test]
fn what_is_sent_is_framed_and_ends_the_stream_once() {
    let mut connection = opened();
    connection.send(StreamId(1), b"no");
    connection.finish(StreamId(1));
    connection.finish(StreamId(1));
    connection.send(StreamId(1), b"late");
    assert_eq!(&connection.output()[..], b"\0\0\0\x01\0\0\0\x02no\0\0\0\x01\x01\0\0\0");
    assert!(!connection.is_open(StreamId(1)) && connection.is_open(StreamId(3)));
}

#[test]
fn long_data_is_cut_into_frames() {
    let mut connection = opened();
    connection.send(StreamId(3), &vec![7; 70_000]);
    let output = connection.output();
    let mut lengths = Vec::new();
    let mut rest = &output[..];
    while let Some((head, after)) = rest.split_at_checked(8).filter(|(head, _)| !head.is_empty()) {
        let length = usize::from(head[5]) << 16 | usize::from(head[6]) << 8 | usize::from(head[7]);
        lengths.push(length);
        rest = &after[length..];
    }
    assert_eq!(lengths, [32_768, 32_768, 4_464]);
}

#[test]
fn a_reset_ends_both_directions() {
    let mut connection = opened();
    connection.receive(&control(3, 0, &[0, 0, 0, 3, 0, 0, 0, 5]));
    assert_eq!(events(&mut connection), [Event::Reset(StreamId(3))]);
    connection.send(StreamId(3), b"late");
    connection.reset(StreamId(3), ResetStatus::Cancel);
    assert!(connection.output().is_empty());
    connection.reset(StreamId(1), ResetStatus::InternalError);
    assert_eq!(connection.output(), control(3, 0, &[0, 0, 0, 1, 0, 0, 0, 6]));
}

#[test]
fn data_after_the_end_or_for_no_stream_is_answered_by_a_reset() {
    let mut connection = opened();
    connection.receive(b"\0\0\0\x01\0\0\0\x01x");
    assert_eq!(events(&mut connection), [Event::Reset(StreamId(1))]);
    assert_eq!(connection.output(), control(3, 0, &[0, 0, 0, 1, 0, 0, 0, 9]));
    connection.receive(b"\0\0\0\x09\0\0\0\x01x");
    assert_eq!(events(&mut connection), []);
    assert_eq!(connection.output(), control(3, 0, &[0, 0, 0, 9, 0, 0, 0, 2]));
}

#[test]
fn what_was_passed_on_is_acknowledged_for_the_stream_and_for_all() {
    let mut connection = opened();
    connection.consumed(StreamId(3), 30_000);
    assert!(connection.output().is_empty());
    connection.consumed(StreamId(3), 10_000);
    let update = |stream| control(9, 0, &[0, 0, 0, stream, 0, 0, 0x9c, 0x40]);
    assert_eq!(connection.output(), [update(3), update(0)].concat());
}

#[test]
fn more_streams_than_may_be_are_refused() {
    let mut connection = Connection::new(1);
    connection.receive(&client()[..70 + 34]);
    assert!(matches!(events(&mut connection)[..], [Event::Opened(StreamId(1), _), Event::Finished(StreamId(1))]));
    assert_eq!(connection.output(), control(3, 0, &[0, 0, 0, 3, 0, 0, 0, 3]));
}

#[test]
fn after_going_away_nothing_is_opened() {
    let mut connection = Connection::new(10);
    connection.go_away();
    assert_eq!(connection.output(), control(7, 0, &[0; 8]));
    connection.receive(&client()[..70]);
    assert_eq!(events(&mut connection), []);
}

#[test]
fn who_breaks_the_protocol_is_told_and_left() {
    for (bytes, expected) in [
        (vec![0x80, 2, 0, 1, 0, 0, 0, 0], Error::Version(2)),
        (vec![0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff], Error::Length { kind: 1, length: 0xff_ffff }),
        (control(1, 0, &[0, 0, 0, 1]), Error::Length { kind: 1, length: 4 }),
        (control(6, 0, &[]), Error::Length { kind: 6, length: 0 }),
    ] {
        let mut connection = Connection::new(10);
        connection.receive(&bytes);
        assert_eq!(connection.event(), Err(expected));
        assert_eq!(connection.output(), control(7, 0, &[0, 0, 0, 0, 0, 0, 0, 1]));
    }
    let mut connection = Connection::new(10);
    connection.receive(&client()[..70]);
    events(&mut connection);
    let mut again = client()[..70].to_vec();
    again[18..].copy_from_slice(&client()[18..70]);
    connection.receive(&again);
    assert!(connection.event().is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_go_on_for_ever(
        real in any::<bool>(),
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20),
    ) {
        let mut connection = Connection::new(3);
        if real {
            connection.receive(&client());
        }
        for piece in pieces {
            connection.receive(&piece);
            while let Ok(Some(event)) = connection.event() {
                if let Event::Opened(stream, _) = event {
                    connection.reply(stream);
                }
            }
        }
        connection.output();
    }
}
