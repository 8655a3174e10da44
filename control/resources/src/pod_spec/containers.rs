use super::env::{check_env, check_env_from};
use super::handlers::{check_lifecycle, check_probes};
use super::mounts::check_mounts;
use super::ports::check_ports;
use super::resources::check_resources;
use super::spec::{check_choice, check_security};
use crate::cause::Causes;
use crate::json::{at, flag, has, int, is_empty, list, text};
use crate::names;
use crate::{Cause, Path};
use serde_json::Value;
use std::collections::BTreeSet;

const PULL_POLICIES: &[&str] = &["Always", "IfNotPresent", "Never"];
const MESSAGE_POLICIES: &[&str] = &["FallbackToLogsOnError", "File"];
const MOST_RULES: usize = 20;
const MOST_EXIT_CODES: usize = 255;
/// What an ephemeral container may not have.
const NOT_EPHEMERAL: [&str; 9] = [
    "lifecycle",
    "livenessProbe",
    "ports",
    "readinessProbe",
    "resizePolicy",
    "resources",
    "restartPolicy",
    "restartPolicyRules",
    "startupProbe",
];

/// Checks all containers of a spec; `volumes` are the names that may be mounted.
pub(super) fn check_containers(spec: &Value, volumes: &BTreeSet<&str>, path: &Path, found: &mut Causes) {
    let host_network = flag(spec, "/hostNetwork");
    let grace = int(spec, "/terminationGracePeriodSeconds");
    let mut names = BTreeSet::new();
    check_unique_host_ports(list(spec, "/containers"), &path.child("containers"), found);
    let containers = list(spec, "/containers");
    if containers.is_empty() {
        found.push(Cause::required(&path.child("containers"), ""));
    }
    for (field, list) in [("containers", containers), ("initContainers", list(spec, "/initContainers"))] {
        for (index, container) in list.iter().enumerate() {
            let path = path.child(field).index(index);
            check_name(container, &mut names, &path, found);
            check_container(container, volumes, grace, &path, found);
            check_restart_policy(container, &path, found);
            if field == "initContainers" {
                check_init(container, &path, found);
            }
            if host_network {
                check_host_ports(container, &path, found);
            }
        }
    }
    check_ephemeral(spec, volumes, &names, &path.child("ephemeralContainers"), found);
}

/// Ephemeral containers may have nothing that a Pod's work could rest on.
fn check_ephemeral(spec: &Value, volumes: &BTreeSet<&str>, lasting: &BTreeSet<&str>, path: &Path, found: &mut Causes) {
    let mut names = lasting.clone();
    for (index, container) in list(spec, "/ephemeralContainers").iter().enumerate() {
        let path = path.index(index);
        check_name(container, &mut names, &path, found);
        check_container(container, volumes, None, &path, found);
        let target = text(container, "/targetContainerName");
        if !target.is_empty() && !lasting.contains(target) {
            found.push(Cause::not_found(&path.child("targetContainerName"), target));
        }
        for field in NOT_EPHEMERAL.iter().filter(|field| !is_empty(container, &format!("/{field}"))) {
            found.push(Cause::forbidden(&path.child(field), "cannot be set for an Ephemeral Container"));
        }
        for (index, mount) in list(container, "/volumeMounts").iter().enumerate() {
            let path = path.child("volumeMounts").index(index);
            for field in ["subPath", "subPathExpr"].iter().filter(|field| !is_empty(mount, &format!("/{field}"))) {
                found.push(Cause::forbidden(&path.child(field), "cannot be set for an Ephemeral Container"));
            }
        }
    }
}

fn check_name<'a>(container: &'a Value, names: &mut BTreeSet<&'a str>, path: &Path, found: &mut Causes) {
    let name = text(container, "/name");
    let path = path.child("name");
    if name.is_empty() {
        found.push(Cause::required(&path, ""));
        return;
    }
    found.invalid_each(&path, name, names::dns1123_label(name));
    if !names.insert(name) {
        found.push(Cause::duplicate(&path, name));
    }
}

fn check_container(container: &Value, volumes: &BTreeSet<&str>, grace: Option<i64>, path: &Path, found: &mut Causes) {
    let image = text(container, "/image");
    if image.is_empty() {
        found.push(Cause::required(&path.child("image"), ""));
    } else if image.trim() != image {
        found.push(Cause::invalid(&path.child("image"), image, "must not have leading or trailing whitespace"));
    }
    check_choice(container, "imagePullPolicy", PULL_POLICIES, path, found);
    check_choice(container, "terminationMessagePolicy", MESSAGE_POLICIES, path, found);
    check_ports(list(container, "/ports"), &path.child("ports"), found);
    check_env(list(container, "/env"), &path.child("env"), found);
    check_env_from(list(container, "/envFrom"), &path.child("envFrom"), found);
    check_mounts(list(container, "/volumeMounts"), volumes, &path.child("volumeMounts"), found);
    check_resources(at(container, "/resources"), &path.child("resources"), found);
    check_probes(container, path, found);
    check_lifecycle(container, grace, &path.child("lifecycle"), found);
    check_security(at(container, "/securityContext"), &path.child("securityContext"), found);
    check_privileges(container, &path.child("securityContext"), found);
}

fn check_restart_policy(container: &Value, path: &Path, found: &mut Causes) {
    let rules = list(container, "/restartPolicyRules");
    if has(container, "/restartPolicy") {
        let policy = text(container, "/restartPolicy");
        found.one_of(&path.child("restartPolicy"), policy, &["Always", "Never", "OnFailure"]);
    } else if !rules.is_empty() {
        found.push(Cause::required(
            &path.child("restartPolicy"),
            "must specify restartPolicy when restart rules are used",
        ));
    }
    let path = path.child("restartPolicyRules");
    if rules.len() > MOST_RULES {
        found.push(Cause::too_many(&path, rules.len(), MOST_RULES));
    }
    for (index, rule) in rules.iter().enumerate() {
        check_restart_rule(rule, &path.index(index), found);
    }
}

fn check_restart_rule(rule: &Value, path: &Path, found: &mut Causes) {
    found.one_of(&path.child("action"), text(rule, "/action"), &["Restart"]);
    let here = path.child("exitCodes");
    if !has(rule, "/exitCodes") {
        found.push(Cause::required(&here, "must be specified"));
        return;
    }
    found.one_of(&here.child("operator"), text(rule, "/exitCodes/operator"), &["In", "NotIn"]);
    let values = list(rule, "/exitCodes/values");
    if values.len() > MOST_EXIT_CODES {
        found.push(Cause::too_many(&here.child("values"), values.len(), MOST_EXIT_CODES));
    }
}

/// An init container that does not stay has nothing to probe.
fn check_init(container: &Value, path: &Path, found: &mut Causes) {
    if text(container, "/restartPolicy") == "Always" {
        return;
    }
    for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
        if has(container, &format!("/{field}")) {
            let detail = "may not be set for init containers without restartPolicy=Always";
            found.push(Cause::forbidden(&path.child(field), detail));
        }
    }
}

fn check_host_ports(container: &Value, path: &Path, found: &mut Causes) {
    for (index, port) in list(container, "/ports").iter().enumerate() {
        let (inside, outside) = (int(port, "/containerPort").unwrap_or(0), int(port, "/hostPort").unwrap_or(0));
        if inside != outside {
            let path = path.child("ports").index(index).child("hostPort");
            found.push(Cause::invalid(&path, outside, "must match `containerPort` when `hostNetwork` is true"));
        }
    }
}

/// No two containers of a Pod that run side by side can have the same port of the host.
fn check_unique_host_ports(containers: &[Value], path: &Path, found: &mut Causes) {
    let mut taken = BTreeSet::new();
    for (index, container) in containers.iter().enumerate() {
        for (port_index, port) in list(container, "/ports").iter().enumerate() {
            let number = int(port, "/hostPort").unwrap_or(0);
            let place = (text(port, "/hostIP"), text(port, "/protocol"), number);
            if number != 0 && !taken.insert(place) {
                let path = path.index(index).child("ports").index(port_index).child("hostPort");
                let (ip, protocol, number) = place;
                found.push(Cause::duplicate(&path, format!("{protocol}/{ip}/{number}")));
            }
        }
    }
}

fn check_privileges(container: &Value, path: &Path, found: &mut Causes) {
    let escalation = at(container, "/securityContext/allowPrivilegeEscalation").as_bool();
    if escalation == Some(false) && flag(container, "/securityContext/privileged") {
        let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
        found.push(Cause::invalid(path, at(container, "/securityContext").clone(), detail));
    }
}
