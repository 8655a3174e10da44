use super::affinity::check_affinity;
use super::containers::check_containers;
use super::scheduling::{check_gates, check_spread};
use super::tolerations::check_tolerations;
use super::volumes::check_volumes;
use crate::address::NOT_AN_IP;
use crate::cause::Causes;
use crate::json::{at, has, int, list, text};
use crate::meta::labels_at;
use crate::names;
use crate::{Cause, Path};
use serde_json::Value;
use std::net::IpAddr;

const RESTART_POLICIES: &[&str] = &["Always", "Never", "OnFailure"];
const DNS_POLICIES: &[&str] = &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];

/// What is wrong with a Pod's spec that stands at `path`.
pub(crate) fn validate_spec(spec: &Value, path: &Path) -> Vec<Cause> {
    let mut found = Causes::default();
    let volumes = check_volumes(spec, &path.child("volumes"), &mut found);
    check_containers(spec, &volumes, path, &mut found);
    check_policies(spec, path, &mut found);
    check_identity(spec, path, &mut found);
    found.extend(labels_at(spec, "/nodeSelector", &path.child("nodeSelector")));
    check_affinity(at(spec, "/affinity"), &path.child("affinity"), &mut found);
    check_tolerations(list(spec, "/tolerations"), &path.child("tolerations"), &mut found);
    check_spread(spec, &path.child("topologySpreadConstraints"), &mut found);
    check_gates(spec, path, &mut found);
    check_host_aliases(spec, &path.child("hostAliases"), &mut found);
    check_security(at(spec, "/securityContext"), &path.child("securityContext"), &mut found);
    found.into_vec()
}

fn check_policies(spec: &Value, path: &Path, found: &mut Causes) {
    check_choice(spec, "restartPolicy", RESTART_POLICIES, path, found);
    check_choice(spec, "dnsPolicy", DNS_POLICIES, path, found);
    if text(spec, "/dnsPolicy") == "None" && list(spec, "/dnsConfig/nameservers").is_empty() {
        let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        found.push(Cause::required(&path.child("dnsConfig").child("nameservers"), detail));
    }
    if let Some(seconds) =
        int(spec, "/activeDeadlineSeconds").filter(|seconds| !(1..=i64::from(i32::MAX)).contains(seconds))
    {
        let detail = names::in_range(1, i32::MAX.into());
        found.push(Cause::invalid(&path.child("activeDeadlineSeconds"), seconds, &detail));
    }
    let preemption = text(spec, "/preemptionPolicy");
    if !preemption.is_empty() {
        found.one_of(&path.child("preemptionPolicy"), preemption, &["Never", "PreemptLowerPriority"]);
    }
    if has(spec, "/os") {
        check_choice(at(spec, "/os"), "name", &["linux", "windows"], &path.child("os"), found);
    }
}

/// A text that must be one of a few.
pub(super) fn check_choice(object: &Value, field: &str, choices: &[&str], path: &Path, found: &mut Causes) {
    match object.get(field).and_then(Value::as_str).unwrap_or_default() {
        "" => found.push(Cause::required(&path.child(field), "")),
        value => found.one_of(&path.child(field), value, choices),
    }
}

fn check_identity(spec: &Value, path: &Path, found: &mut Causes) {
    type Grammar = fn(&str) -> Vec<String>;
    let grammars: [(&str, Grammar); 6] = [
        ("nodeName", names::dns1123_subdomain),
        ("serviceAccountName", names::dns1123_subdomain),
        ("priorityClassName", names::dns1123_subdomain),
        ("runtimeClassName", names::dns1123_subdomain),
        ("hostname", names::dns1123_label),
        ("subdomain", names::dns1123_label),
    ];
    for (field, grammar) in grammars {
        let value = text(spec, &format!("/{field}"));
        if !value.is_empty() {
            found.invalid_each(&path.child(field), value, grammar(value));
        }
    }
    for (index, secret) in list(spec, "/imagePullSecrets").iter().enumerate() {
        if text(secret, "/name").is_empty() {
            found.push(Cause::required(&path.child("imagePullSecrets").index(index).child("name"), ""));
        }
    }
}

fn check_host_aliases(spec: &Value, path: &Path, found: &mut Causes) {
    for (index, alias) in list(spec, "/hostAliases").iter().enumerate() {
        let ip = text(alias, "/ip");
        if ip.parse::<IpAddr>().is_err() {
            found.push(Cause::invalid(&path.index(index).child("ip"), ip, NOT_AN_IP));
        }
        for (name_index, name) in list(alias, "/hostnames").iter().filter_map(Value::as_str).enumerate() {
            let path = path.index(index).child("hostnames").index(name_index);
            found.invalid_each(&path, name, names::dns1123_subdomain(name));
        }
    }
}

/// The user and groups of a Pod's or a container's security context.
pub(super) fn check_security(context: &Value, path: &Path, found: &mut Causes) {
    for field in ["runAsUser", "runAsGroup", "fsGroup"] {
        let id = int(context, &format!("/{field}")).filter(|id| !(0..=i64::from(i32::MAX)).contains(id));
        if let Some(id) = id {
            found.push(Cause::invalid(&path.child(field), id, &names::in_range(0, i32::MAX.into())));
        }
    }
}
