use std::net::UdpSocket;

use super::*;

fn workload() -> Workload {
    Workload {
        namespace: "default".into(),
        name: "web".into(),
        addresses: vec!["10.244.0.2".parse().unwrap()],
        hosts: vec![],
        names: Default::default(),
    }
}

fn denied(shield: &HostShield, protocol: Protocol, to: SocketAddr) -> bool {
    let from = workload();
    let flow =
        Flow { protocol, from: Party::Workload(&from), to: Party::Outside(to.ip()), port: to.port(), is_answer: false };
    shield.decide(&flow).is_err()
}

#[test]
fn the_host_and_what_is_no_single_machine_are_never_reached() {
    let shield = HostShield::default();
    for ip in [
        "127.0.0.1",
        "127.1.2.3",
        "::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "0.0.0.0",
        "::",
        "::ffff:0.0.0.0",
        "0.1.2.3",
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fe80::1",
        "224.0.0.251",
        "ff02::fb",
        "255.255.255.255",
        "64:ff9b::a9fe:a9fe",
    ] {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            assert!(denied(&shield, protocol, SocketAddr::new(ip.parse().unwrap(), 80)), "{protocol:?} {ip}");
        }
    }
}

#[test]
fn the_rest_of_the_world_is() {
    for ip in ["192.0.2.7", "1.1.1.1", "10.20.30.40", "2001:db8::1", "64:ff9b::102:304", "2002:102:304::"] {
        assert!(!denied(&HostShield::default(), Protocol::Tcp, SocketAddr::new(ip.parse().unwrap(), 443)), "{ip}");
    }
}

#[test]
fn the_nodes_own_addresses_are_not_whatever_they_are() {
    // The address from which this machine would reach the world; one without a network has its loopback only.
    let own = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    let own = own.unwrap_or_else(|_| "127.0.0.1:0".parse().unwrap());
    assert!(denied(&HostShield::default(), Protocol::Tcp, SocketAddr::new(own.ip(), 22)), "{own}");
}

#[test]
fn an_exception_is_one_port_of_one_protocol() {
    let shield = HostShield::except(vec![(Protocol::Tcp, "127.0.0.1:6443".parse().unwrap())]);
    assert!(!denied(&shield, Protocol::Tcp, "127.0.0.1:6443".parse().unwrap()));
    assert!(denied(&shield, Protocol::Tcp, "127.0.0.1:6444".parse().unwrap()));
    assert!(denied(&shield, Protocol::Udp, "127.0.0.1:6443".parse().unwrap()));
}

/// Forbids one port to everybody.
struct NotPort(u16);

impl Rule for NotPort {
    fn decide(&self, flow: &Flow<'_>) -> Result<(), Denial> {
        if flow.port != self.0 {
            return Ok(());
        }
        let why = format!("port {} is closed", self.0);
        Err(Denial { direction: Direction::Ingress, reason: Reason::Policy, why })
    }
}

#[test]
fn every_rule_has_to_agree_and_what_is_denied_is_counted() {
    let point = DecisionPoint::new(vec![Box::new(HostShield::default()), Box::new(NotPort(25))]);
    let (from, to) = (workload(), workload());
    let decide =
        |protocol, to, port| point.decide(&Flow { protocol, from: Party::Workload(&from), to, port, is_answer: false });

    assert!(decide(Protocol::Tcp, Party::Workload(&to), 80).is_ok());
    let refused = decide(Protocol::Tcp, Party::Workload(&to), 25).unwrap_err();
    assert_eq!(refused, NetworkError::AccessDenied("port 25 is closed".into()));
    decide(Protocol::Udp, Party::Outside("127.0.0.1".parse().unwrap()), 53).unwrap_err();
    decide(Protocol::Udp, Party::Workload(&to), 25).unwrap_err();
    let denied: Vec<String> = point.denied().iter().filter(|denied| denied.flows > 0).map(described).collect();
    assert_eq!(denied, ["1 tcp ingress policy", "1 udp ingress policy", "1 udp egress shield"]);
    assert_eq!(point.denied().len(), 12, "kinds of which there were none are told too");
}

fn described(Denied { protocol, direction, reason, flows }: &Denied) -> String {
    format!("{flows} {protocol} {direction} {reason}")
}
