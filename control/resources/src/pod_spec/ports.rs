use crate::cause::Causes;
use crate::json::{int, text};
use crate::names;
use crate::{Cause, Path};
use serde_json::Value;
use std::collections::BTreeSet;

const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];

/// What is wrong with a container's ports.
pub(super) fn check_ports(ports: &[Value], path: &Path, found: &mut Causes) {
    let mut names = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let name = text(port, "/name");
        if !name.is_empty() {
            found.invalid_each(&path.child("name"), name, names::port_name(name));
            if !names.insert(name) {
                found.push(Cause::duplicate(&path.child("name"), name));
            }
        }
        check_numbers(port, &path, found);
        check_protocol(port, &path, found);
    }
}

/// What is wrong with a port's `protocol`.
pub(crate) fn check_protocol(port: &Value, path: &Path, found: &mut Causes) {
    match text(port, "/protocol") {
        "" => found.push(Cause::required(&path.child("protocol"), "")),
        protocol => found.one_of(&path.child("protocol"), protocol, PROTOCOLS),
    }
}

fn check_numbers(port: &Value, path: &Path, found: &mut Causes) {
    match int(port, "/containerPort").unwrap_or(0) {
        0 => found.push(Cause::required(&path.child("containerPort"), "")),
        number => invalid_number(number, &path.child("containerPort"), found),
    }
    let host = int(port, "/hostPort").unwrap_or(0);
    if host != 0 {
        invalid_number(host, &path.child("hostPort"), found);
    }
}

/// Refuses a number that is no port's.
pub(crate) fn invalid_number(number: i64, path: &Path, found: &mut Causes) {
    found.extend(names::port_number(number).iter().map(|problem| Cause::invalid(path, number, problem)));
}
