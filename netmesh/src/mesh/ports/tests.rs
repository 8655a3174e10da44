use super::*;

fn ports() -> Ports<&'static str> {
    Ports::new(vec!["10.244.0.2".parse().unwrap(), "fd00::2".parse().unwrap()])
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// What happens to a second TCP socket that wants an address beside a first: when it binds, and when it listens.
#[derive(Debug, PartialEq)]
enum Second {
    Works,
    FailsToBind,
    FailsToListen,
}

fn second(first: &str, first_listens: bool, second: &str) -> Second {
    let mut ports = ports();
    let held = ports.bind(address(first), Sharing::Unopened).unwrap();
    if first_listens {
        ports.open(held, "first").unwrap();
    }
    let Ok(key) = ports.bind(address(second), Sharing::Unopened) else { return Second::FailsToBind };
    if !first_listens {
        ports.open(held, "first").unwrap();
    }
    if ports.open(key, "second").is_err() { Second::FailsToListen } else { Second::Works }
}

#[test]
fn two_listeners_share_an_address_only_where_they_mean_different_ones() {
    use Second::{FailsToBind, FailsToListen, Works};
    for (one, listening, other, outcome) in [
        ("127.0.0.1:80", true, "127.0.0.1:80", FailsToBind),
        ("127.0.0.1:80", false, "127.0.0.1:80", FailsToListen),
        ("127.0.0.1:80", true, "127.0.0.1:81", Works),
        ("127.0.0.1:80", true, "127.0.0.2:80", Works),
        ("127.0.0.1:80", true, "10.244.0.2:80", Works),
        ("127.0.0.1:80", true, "0.0.0.0:80", FailsToBind),
        ("0.0.0.0:80", true, "10.244.0.2:80", FailsToBind),
        ("0.0.0.0:80", false, "10.244.0.2:80", FailsToListen),
        ("0.0.0.0:80", true, "[::]:80", Works),
        ("[::1]:80", true, "[fd00::2]:80", Works),
        ("[::]:80", true, "[fd00::2]:80", FailsToBind),
    ] {
        assert_eq!(second(one, listening, other), outcome, "{one} (listening: {listening}), then {other}");
    }
}

#[test]
fn only_own_addresses_can_be_bound() {
    for (local, bindable) in [
        ("127.0.0.1:80", true),
        ("127.9.9.9:80", true),
        ("0.0.0.0:80", true),
        ("10.244.0.2:80", true),
        ("10.244.0.3:80", false),
        ("192.0.2.1:80", false),
        ("[::1]:80", true),
        ("[::]:80", true),
        ("[fd00::2]:80", true),
        ("[fd00::3]:80", false),
        ("[::ffff:127.0.0.1]:80", false),
    ] {
        let bound = ports().bind(address(local), Sharing::Unopened).map(|key| key.address);
        let expected = if bindable { Ok(address(local)) } else { Err(NetworkError::AddressNotBindable) };
        assert_eq!(bound, expected, "{local}");
    }
}

#[test]
fn port_0_is_any_free_port_until_there_is_none() {
    let mut ports = ports();
    let mut given = std::collections::HashSet::new();
    for _ in EPHEMERAL {
        let port = ports.bind(address("0.0.0.0:0"), Sharing::Unopened).unwrap().address.port();
        assert!(EPHEMERAL.contains(&port) && given.insert(port), "{port}");
    }
    assert_eq!(ports.bind(address("127.0.0.1:0"), Sharing::Unopened), Err(NetworkError::AddressInUse));
    assert!(ports.bind(address("[::1]:0"), Sharing::Unopened).is_ok(), "the other family has its own");
}

#[test]
fn a_port_that_was_not_asked_for_is_not_shared() {
    let mut ports = ports();
    let given = ports.bind(address("127.0.0.1:0"), Sharing::Unopened).unwrap().address;
    assert_eq!(ports.bind(given, Sharing::Unopened), Err(NetworkError::AddressInUse));
}

#[test]
fn an_address_of_udp_is_never_shared() {
    let mut ports = ports();
    ports.bind(address("127.0.0.1:53"), Sharing::Never).unwrap();
    assert_eq!(ports.bind(address("0.0.0.0:53"), Sharing::Never), Err(NetworkError::AddressInUse));
    assert!(ports.bind(address("10.244.0.2:53"), Sharing::Never).is_ok());
}

#[test]
fn the_very_address_answers_before_all_addresses() {
    let mut ports = ports();
    let all = ports.bind(address("0.0.0.0:80"), Sharing::Unopened).unwrap();
    let one = ports.bind(address("127.0.0.1:80"), Sharing::Unopened).unwrap();
    ports.open(all, "all").unwrap();
    assert_eq!(ports.at(address("127.0.0.1:80")), Some(&"all"));
    assert_eq!(ports.at(address("10.244.0.2:80")), Some(&"all"));
    assert_eq!(ports.at(address("[::1]:80")), None);
    assert_eq!(ports.close(all), Some("all"));
    ports.open(one, "one").unwrap();
    assert_eq!(ports.at(address("127.0.0.1:80")), Some(&"one"));
    assert_eq!(ports.at(address("10.244.0.2:80")), None);
}

#[test]
fn what_is_released_is_free_and_forgotten() {
    let mut ports = ports();
    let key = ports.bind(address("0.0.0.0:80"), Sharing::Unopened).unwrap();
    ports.open(key, "first").unwrap();
    ports.close(key);
    assert!(ports.bind(address("0.0.0.0:80"), Sharing::Never).is_err(), "connections may still be using it");
    ports.release(key);
    assert!(ports.taken.is_empty());
    assert!(ports.bind(address("0.0.0.0:80"), Sharing::Never).is_ok());
}
