//! What only a Service of type LoadBalancer has.

use crate::cause::Causes;
use crate::json::{at, int, is_empty, list, remove, section, set, text};
use crate::names;
use crate::pod_spec::invalid_number;
use crate::{Cause, Path};
use serde_json::{Value, json};
use std::net::IpAddr;

const NOT_A_RANGE: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
const ONLY_HERE: &str = "may only be used when `type` is 'LoadBalancer'";

pub(super) fn check(spec: &Value, kind: &str, path: &Path, found: &mut Causes) {
    if kind != "LoadBalancer" {
        for field in ["loadBalancerSourceRanges", "loadBalancerClass", "allocateLoadBalancerNodePorts"] {
            if !is_empty(spec, &format!("/{field}")) {
                found.push(Cause::forbidden(&path.child(field), ONLY_HERE));
            }
        }
    }
    for (index, range) in list(spec, "/loadBalancerSourceRanges").iter().filter_map(Value::as_str).enumerate() {
        if !is_range(range.trim()) {
            found.push(Cause::invalid(&path.child("loadBalancerSourceRanges").index(index), range, NOT_A_RANGE));
        }
    }
    let class = text(spec, "/loadBalancerClass");
    if !class.is_empty() {
        found.invalid_each(&path.child("loadBalancerClass"), class, names::qualified_name(class));
    }
    check_health(spec, &path.child("healthCheckNodePort"), found);
}

fn check_health(spec: &Value, path: &Path, found: &mut Causes) {
    let number = int(spec, "/healthCheckNodePort").unwrap_or(0);
    if number != 0 && !needs_health_check(spec) {
        let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        found.push(Cause::invalid(path, number, detail));
    } else if number != 0 {
        invalid_number(number, path, found);
    }
}

fn is_range(text: &str) -> bool {
    let Some((ip, prefix)) = text.split_once('/') else { return false };
    let most = ip.parse().ok().map(|ip: IpAddr| if ip.is_ipv4() { 32 } else { 128 });
    prefix.parse::<u8>().ok().zip(most).is_some_and(|(prefix, most)| prefix <= most)
}

/// Whether load balancers ask each node if endpoints are there.
pub(super) fn needs_health_check(spec: &Value) -> bool {
    text(spec, "/type") == "LoadBalancer" && text(spec, "/externalTrafficPolicy") == "Local"
}

/// Keeps the port that was allocated, and drops what nobody has a use for any more.
pub(super) fn keep(service: &mut Value, old: &Value) {
    let held = at(old, "/spec");
    let Some(spec) = section(service, "spec") else { return };
    let number = |spec: &Value| int(spec, "/healthCheckNodePort").unwrap_or(0);
    match (needs_health_check(spec), needs_health_check(held)) {
        (true, true) if number(spec) == 0 && number(held) != 0 => set(spec, "healthCheckNodePort", number(held)),
        (false, true) if number(spec) == number(held) => {
            remove(spec, "healthCheckNodePort");
        }
        _ => {}
    }
    if text(spec, "/type") != "LoadBalancer" && text(held, "/type") == "LoadBalancer" {
        set(service, "status", json!({ "loadBalancer": {} }));
    }
}

/// What may not change.
pub(super) fn check_update(new: &Value, old: &Value, found: &mut Vec<Cause>) {
    let (new, old, path) = (at(new, "/spec"), at(old, "/spec"), Path::new("spec"));
    if needs_health_check(new) && needs_health_check(old) && at(new, HEALTH) != at(old, HEALTH) {
        found.push(Cause::forbidden(&path.child("healthCheckNodePort"), "field is immutable"));
    }
    let is_balancer = |spec: &Value| text(spec, "/type") == "LoadBalancer";
    if is_balancer(new) && is_balancer(old) && at(new, CLASS) != at(old, CLASS) {
        let class = at(new, CLASS).clone();
        found.push(Cause::invalid(&path.child("loadBalancerClass"), class, "may not change once set"));
    }
}

const HEALTH: &str = "/healthCheckNodePort";
const CLASS: &str = "/loadBalancerClass";
