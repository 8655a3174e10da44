use crate::cause::Causes;
use crate::json::{at, has, int, list, text};
use crate::names;
use crate::pod_spec::invalid_number;
use crate::selector::validate_label_selector;
use crate::{Cause, Path};
use serde_json::Value;
use std::net::IpAddr;

const PROTOCOLS: &[&str] = &["TCP", "UDP", "SCTP"];
const TYPES: &[&str] = &["Ingress", "Egress"];
const NOT_A_CIDR: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

pub(super) fn policy(policy: &Value) -> Vec<Cause> {
    let mut found = Causes::default();
    let (spec, path) = (at(policy, "/spec"), Path::new("spec"));
    found.extend(validate_label_selector(at(spec, "/podSelector"), &path.child("podSelector")));
    check_rules(list(spec, "/ingress"), "from", &path.child("ingress"), &mut found);
    check_rules(list(spec, "/egress"), "to", &path.child("egress"), &mut found);
    check_types(list(spec, "/policyTypes"), &path.child("policyTypes"), &mut found);
    found.into_vec()
}

fn check_rules(rules: &[Value], peers: &str, path: &Path, found: &mut Causes) {
    for (index, rule) in rules.iter().enumerate() {
        let path = path.index(index);
        for (index, port) in list(rule, "/ports").iter().enumerate() {
            check_port(port, &path.child("ports").index(index), found);
        }
        for (index, peer) in list(rule, &format!("/{peers}")).iter().enumerate() {
            check_peer(peer, &path.child(peers).index(index), found);
        }
    }
}

fn check_types(types: &[Value], path: &Path, found: &mut Causes) {
    if types.len() > TYPES.len() {
        found.push(Cause::invalid(path, types.to_vec(), "may not specify more than two policyTypes"));
        return;
    }
    for (index, kind) in types.iter().filter_map(Value::as_str).enumerate() {
        found.one_of(&path.index(index), kind, TYPES);
    }
}

fn check_port(port: &Value, path: &Path, found: &mut Causes) {
    let protocol = text(port, "/protocol");
    if !protocol.is_empty() {
        found.one_of(&path.child("protocol"), protocol, PROTOCOLS);
    }
    let end = int(port, "/endPort");
    let no_end = |why: &str, found: &mut Causes| {
        found.extend(end.map(|end| Cause::invalid(&path.child("endPort"), end, why)));
    };
    match at(port, "/port") {
        Value::Null => no_end("may not be specified when `port` is not specified", found),
        Value::String(name) => {
            no_end("may not be specified when `port` is non-numeric", found);
            found.invalid_each(&path.child("port"), name, names::port_name(name));
        }
        number => check_range(number.as_i64().unwrap_or(0), end, path, found),
    }
}

fn check_range(first: i64, last: Option<i64>, path: &Path, found: &mut Causes) {
    invalid_number(first, &path.child("port"), found);
    let Some(last) = last else { return };
    let path = path.child("endPort");
    if last < first {
        found.push(Cause::invalid(&path, first, "must be greater than or equal to `port`"));
    }
    invalid_number(last, &path, found);
}

fn check_peer(peer: &Value, path: &Path, found: &mut Causes) {
    let mut selects = false;
    for field in ["podSelector", "namespaceSelector"] {
        if has(peer, &format!("/{field}")) {
            selects = true;
            found.extend(validate_label_selector(at(peer, &format!("/{field}")), &path.child(field)));
        }
    }
    let is_block = has(peer, "/ipBlock");
    if is_block {
        check_block(at(peer, "/ipBlock"), &path.child("ipBlock"), found);
    }
    match (selects, is_block) {
        (false, false) => found.push(Cause::required(path, "must specify a peer")),
        (true, true) => found.push(Cause::forbidden(path, "may not specify both ipBlock and another peer")),
        _ => {}
    }
}

fn check_block(block: &Value, path: &Path, found: &mut Causes) {
    let (cidr, here) = (text(block, "/cidr"), path.child("cidr"));
    if cidr.is_empty() {
        found.push(Cause::required(&here, ""));
        return;
    }
    let Some(whole) = Cidr::parse(cidr) else {
        found.push(Cause::invalid(&here, cidr, NOT_A_CIDR));
        return;
    };
    for (index, except) in list(block, "/except").iter().filter_map(Value::as_str).enumerate() {
        let here = path.child("except").index(index);
        match Cidr::parse(except) {
            None => found.push(Cause::invalid(&here, except, NOT_A_CIDR)),
            Some(part) if !part.is_within(&whole) => {
                found.push(Cause::invalid(&here, except, "must be a strict subset of `cidr`"));
            }
            Some(_) => {}
        }
    }
}

/// A range of addresses. Bits beyond the prefix mean nothing.
struct Cidr {
    ip: IpAddr,
    prefix: u32,
}

impl Cidr {
    fn parse(text: &str) -> Option<Cidr> {
        let (ip, prefix) = text.split_once('/')?;
        let (ip, digits) = (ip.parse::<IpAddr>().ok()?, prefix.bytes().all(|byte| byte.is_ascii_digit()));
        let prefix = prefix.parse().ok().filter(|prefix| digits && *prefix <= if ip.is_ipv4() { 32 } else { 128 })?;
        Some(Cidr { ip, prefix })
    }

    /// Whether this is a smaller range in the other.
    fn is_within(&self, whole: &Cidr) -> bool {
        let common = match (self.ip, whole.ip) {
            (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
            (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
            _ => return false,
        };
        common >= whole.prefix && self.prefix > whole.prefix
    }
}
