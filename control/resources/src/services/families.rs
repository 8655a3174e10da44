//! The families of addresses that a Service has.

use super::defaults::is_free;
use crate::cause::Causes;
use crate::json::{is_empty, list, text};
use crate::{Cause, Path};
use serde_json::Value;
use std::net::IpAddr;

const FAMILIES: &[&str] = &["IPv4", "IPv6"];
const POLICIES: &[&str] = &["PreferDualStack", "RequireDualStack", "SingleStack"];

/// In Kubernetes' words for a cluster whose network has IPv4 only.
pub(super) fn check(spec: &Value, kind: &str, path: &Path, found: &mut Causes) {
    let (policy, families) = (text(spec, "/ipFamilyPolicy"), strings(spec, "/ipFamilies"));
    if kind == "ExternalName" {
        return check_external(spec, path, found);
    }
    check_each(&families, &path.child("ipFamilies"), found);
    if !policy.is_empty() {
        found.one_of(&path.child("ipFamilyPolicy"), policy, POLICIES);
    }
    check_ips(spec, &families, &path.child("clusterIPs"), found);
    check_count(spec, policy, &families, &path.child("ipFamilyPolicy"), found);
    if !is_free(spec) {
        check_network(policy, &families, path, found);
    }
}

fn check_external(spec: &Value, path: &Path, found: &mut Causes) {
    for field in ["ipFamilies", "ipFamilyPolicy"] {
        if !is_empty(spec, &format!("/{field}")) {
            found.push(Cause::forbidden(&path.child(field), "may not be set for ExternalName services"));
        }
    }
}

fn check_each(families: &[&str], path: &Path, found: &mut Causes) {
    for (index, family) in families.iter().enumerate() {
        found.one_of(&path.index(index), family, FAMILIES);
        if families[..index].contains(family) {
            found.push(Cause::duplicate(&path.index(index), *family));
        }
    }
}

fn check_ips(spec: &Value, families: &[&str], path: &Path, found: &mut Causes) {
    let (all, ips) = (list(spec, "/clusterIPs").to_vec(), strings(spec, "/clusterIPs"));
    let kinds: Vec<Option<&str>> = ips.iter().map(|ip| family(ip)).collect();
    if ips.len() > 2 {
        found.push(Cause::invalid(path, all.clone(), "may only hold up to 2 values"));
    }
    if ips.len() > 1 && ips[0] == super::HEADLESS {
        found.push(Cause::invalid(path, all.clone(), "'None' must be the first and only value"));
    }
    if ips.len() == 2 && kinds[0].is_some() && kinds[0] == kinds[1] {
        found.push(Cause::invalid(path, all.clone(), "may specify no more than one IP for each IP family"));
    }
    for (index, kind) in kinds.iter().enumerate() {
        match (families.get(index), kind) {
            (Some(wanted), Some(kind)) if wanted != kind => {
                let detail = format!("expected an {wanted} value as indicated by `ipFamilies[{index}]`");
                found.push(Cause::invalid(&path.index(index), ips[index], &detail));
            }
            (None, Some("IPv6")) => {
                found.push(Cause::invalid(&path.index(index), all.clone(), "IPv6 is not configured on this cluster"));
            }
            _ => {}
        }
    }
}

fn check_count(spec: &Value, policy: &str, families: &[&str], path: &Path, found: &mut Causes) {
    let many = [(list(spec, "/clusterIPs").len(), "cluster IPs"), (families.len(), "IP families")];
    for (_, what) in many.iter().filter(|(count, _)| policy == "SingleStack" && *count == 2) {
        let detail = format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
        found.push(Cause::invalid(path, policy, &detail));
    }
}

fn check_network(policy: &str, families: &[&str], path: &Path, found: &mut Causes) {
    if policy == "RequireDualStack" {
        let detail = "this cluster is not configured for dual-stack services";
        found.push(Cause::invalid(&path.child("ipFamilyPolicy"), policy, detail));
    }
    for (index, family) in families.iter().enumerate().filter(|(_, family)| **family == "IPv6") {
        found.push(Cause::invalid(&path.child("ipFamilies").index(index), *family, "not configured on this cluster"));
    }
}

fn family(ip: &str) -> Option<&'static str> {
    ip.parse().ok().map(|ip: IpAddr| if ip.is_ipv4() { "IPv4" } else { "IPv6" })
}

fn strings<'a>(spec: &'a Value, pointer: &str) -> Vec<&'a str> {
    list(spec, pointer).iter().filter_map(Value::as_str).collect()
}
