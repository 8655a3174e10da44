use super::{HEADLESS, balancer, families};
use crate::address::NOT_AN_IP;
use crate::cause::Causes;
use crate::json::{at, int, is_empty, list, text};
use crate::meta::labels_at;
use crate::names;
use crate::pod_spec::{check_protocol, invalid_number};
use crate::{Cause, Path};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::IpAddr;

const TYPES: &[&str] = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const POLICIES: &[&str] = &["Cluster", "Local"];

pub(super) fn service(service: &Value) -> Vec<Cause> {
    let mut found = Causes::default();
    let (spec, path) = (at(service, "/spec"), Path::new("spec"));
    let kind = text(spec, "/type");
    if is_empty(spec, "/ports") && kind != "ExternalName" && text(spec, "/clusterIP") != HEADLESS {
        found.push(Cause::required(&path.child("ports"), ""));
    }
    found.one_of(&path.child("type"), kind, TYPES);
    check_ports(spec, &path.child("ports"), &mut found);
    found.extend(labels_at(spec, "/selector", &path.child("selector")));
    check_affinity(spec, &path, &mut found);
    check_addresses(spec, kind, &path, &mut found);
    check_policies(spec, kind, &path, &mut found);
    families::check(spec, kind, &path, &mut found);
    balancer::check(spec, kind, &path, &mut found);
    if kind == "ExternalName" {
        check_external_name(text(spec, "/externalName"), &path.child("externalName"), &mut found);
    }
    found.into_vec()
}

fn check_external_name(name: &str, path: &Path, found: &mut Causes) {
    match name.strip_suffix('.').unwrap_or(name) {
        "" => found.push(Cause::required(path, "")),
        plain => found.invalid_each(path, name, names::dns1123_subdomain(plain)),
    }
}

fn check_affinity(spec: &Value, path: &Path, found: &mut Causes) {
    found.one_of(&path.child("sessionAffinity"), text(spec, "/sessionAffinity"), &["ClientIP", "None"]);
    let timeout = int(spec, "/sessionAffinityConfig/clientIP/timeoutSeconds");
    if let Some(seconds) = timeout.filter(|seconds| !(1..=86_400).contains(seconds)) {
        let path = path.child("sessionAffinityConfig").child("clientIP").child("timeoutSeconds");
        found.push(Cause::invalid(&path, seconds, "must be greater than 0 and less than 86400"));
    }
}

fn check_addresses(spec: &Value, kind: &str, path: &Path, found: &mut Causes) {
    let here = path.child("clusterIPs");
    let all = list(spec, "/clusterIPs");
    if kind == "ExternalName" && !all.is_empty() {
        found.push(Cause::forbidden(&here, "may not be set for ExternalName services"));
    }
    if !all.is_empty() && !is_empty(spec, "/clusterIP") && all[0] != *at(spec, "/clusterIP") {
        found.push(Cause::invalid(&here, all.to_vec(), "first value must match `clusterIP`"));
    }
    for (index, ip) in all.iter().filter_map(Value::as_str).enumerate() {
        let here = here.index(index);
        if ip == HEADLESS && ["NodePort", "LoadBalancer"].contains(&kind) {
            found.push(Cause::invalid(&here, ip, &format!("may not be set to 'None' for {kind} services")));
        } else if ip != HEADLESS {
            check_ip(ip, &here, found);
        }
    }
    for (index, ip) in list(spec, "/externalIPs").iter().filter_map(Value::as_str).enumerate() {
        check_ip(ip, &path.child("externalIPs").index(index), found);
    }
}

fn check_ip(ip: &str, path: &Path, found: &mut Causes) {
    if ip.parse::<IpAddr>().is_err() {
        found.push(Cause::invalid(path, ip, NOT_AN_IP));
    }
}

fn check_policies(spec: &Value, kind: &str, path: &Path, found: &mut Causes) {
    let external = text(spec, "/externalTrafficPolicy");
    let reachable =
        ["NodePort", "LoadBalancer"].contains(&kind) || (kind == "ClusterIP" && !is_empty(spec, "/externalIPs"));
    let here = path.child("externalTrafficPolicy");
    match external {
        "" if reachable => found.push(Cause::required(&here, "")),
        "" => {}
        _ if !reachable => {
            found.push(Cause::invalid(&here, external, "may only be set for externally-accessible services"));
        }
        _ => found.one_of(&here, external, POLICIES),
    }
    let internal = text(spec, "/internalTrafficPolicy");
    if !internal.is_empty() {
        found.one_of(&path.child("internalTrafficPolicy"), internal, POLICIES);
    }
}

fn check_ports(spec: &Value, path: &Path, found: &mut Causes) {
    let ports = list(spec, "/ports");
    let mut seen = Seen::default();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        check_port(port, ports.len() > 1, &path, found);
        seen.check(port, &path, found);
        if text(spec, "/type") == "ClusterIP" && int(port, "/nodePort").unwrap_or(0) != 0 {
            let detail = "may not be used when `type` is 'ClusterIP'";
            found.push(Cause::forbidden(&path.child("nodePort"), detail));
        }
    }
}

fn check_port(port: &Value, must_be_named: bool, path: &Path, found: &mut Causes) {
    match text(port, "/name") {
        "" if must_be_named => found.push(Cause::required(&path.child("name"), "")),
        "" => {}
        name => found.invalid_each(&path.child("name"), name, names::dns1123_label(name)),
    }
    invalid_number(int(port, "/port").unwrap_or(0), &path.child("port"), found);
    check_protocol(port, path, found);
    match at(port, "/targetPort") {
        Value::String(name) => found.invalid_each(&path.child("targetPort"), name, names::port_name(name)),
        _ if int(port, "/port") == int(port, "/targetPort") => {}
        number => invalid_number(number.as_i64().unwrap_or(0), &path.child("targetPort"), found),
    }
    let protocol = text(port, "/appProtocol");
    if !protocol.is_empty() {
        found.invalid_each(&path.child("appProtocol"), protocol, names::qualified_name(protocol));
    }
}

/// What must not stand twice in one Service.
#[derive(Default)]
struct Seen<'a> {
    names: BTreeSet<&'a str>,
    ports: BTreeSet<(i64, &'a str)>,
    node_ports: BTreeSet<(i64, &'a str)>,
}

impl<'a> Seen<'a> {
    fn check(&mut self, port: &'a Value, path: &Path, found: &mut Causes) {
        let (name, protocol) = (text(port, "/name"), text(port, "/protocol"));
        let number = int(port, "/port").unwrap_or(0);
        let node_port = int(port, "/nodePort").unwrap_or(0);
        if !name.is_empty() && !self.names.insert(name) {
            found.push(Cause::duplicate(&path.child("name"), name));
        }
        if !self.ports.insert((number, protocol)) {
            found.push(Cause::duplicate(path, json!({ "port": number, "protocol": protocol })));
        }
        if node_port != 0 && !self.node_ports.insert((node_port, protocol)) {
            found.push(Cause::duplicate(&path.child("nodePort"), node_port));
        }
    }
}
