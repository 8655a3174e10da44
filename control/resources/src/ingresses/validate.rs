//! What is wrong with an Ingress, in Kubernetes' words.

use super::{CLASS_ANNOTATION, class_annotation};
use crate::address::NOT_AN_IP;
use crate::cause::Causes;
use crate::json::{at, has, int, list, text};
use crate::{Cause, Path, names};
use serde_json::Value;
use std::net::IpAddr;

const PATH_TYPES: &[&str] = &["Exact", "ImplementationSpecific", "Prefix"];
const NOT_IN_PATHS: &[&str] = &["//", "/./", "/../", "%2f", "%2F"];
const NOT_AT_ENDS_OF_PATHS: &[&str] = &["/..", "/."];
const AN_IP: &str = "must be a DNS name, not an IP address";

pub(super) fn ingress(ingress: &Value) -> Vec<Cause> {
    let mut found = Causes::default();
    let (spec, path) = (at(ingress, "/spec"), Path::new("spec"));
    let rules = list(spec, "/rules");
    if rules.is_empty() && !has(spec, "/defaultBackend") {
        let told = "either `defaultBackend` or `rules` must be specified";
        found.push(Cause::invalid(&path, at(spec, "/rules").clone(), told));
    }
    if has(spec, "/defaultBackend") {
        check_backend(at(spec, "/defaultBackend"), &path.child("defaultBackend"), &mut found);
    }
    for (index, rule) in rules.iter().enumerate() {
        check_rule(rule, &path.child("rules").index(index), &mut found);
    }
    for (index, tls) in list(spec, "/tls").iter().enumerate() {
        check_tls(tls, &path.child("tls").index(index), &mut found);
    }
    if let Some(class) = at(spec, "/ingressClassName").as_str() {
        found.invalid_each(&path.child("ingressClassName"), class, names::dns1123_subdomain(class));
    }
    found.into_vec()
}

/// The older annotation and the field say the same.
pub(super) fn classes_agree(ingress: &Value) -> Vec<Cause> {
    let (field, annotation) = (at(ingress, "/spec/ingressClassName").as_str(), class_annotation(ingress));
    let wrong = annotation.filter(|annotation| field.is_some_and(|field| field != *annotation));
    let path = Path::new("annotations").child(CLASS_ANNOTATION);
    let told = "must match `ingressClassName` when both are specified";
    wrong.map(|annotation| Cause::invalid(&path, annotation, told)).into_iter().collect()
}

pub(super) fn status(ingress: &Value) -> Vec<Cause> {
    let mut found = Causes::default();
    for (index, one) in list(ingress, "/status/loadBalancer/ingress").iter().enumerate() {
        let path = Path::new("status.loadBalancer.ingress").index(index);
        let (ip, hostname) = (text(one, "/ip"), text(one, "/hostname"));
        if !ip.is_empty() && ip.parse::<IpAddr>().is_err() {
            found.push(Cause::invalid(&path.child("ip"), ip, NOT_AN_IP));
        }
        if !hostname.is_empty() {
            check_host(hostname, &path.child("hostname"), &mut found);
        }
    }
    found.into_vec()
}

fn check_rule(rule: &Value, path: &Path, found: &mut Causes) {
    let host = text(rule, "/host");
    if !host.is_empty() {
        check_host(host, &path.child("host"), found);
    }
    if !has(rule, "/http") {
        return;
    }
    let (paths, path) = (list(rule, "/http/paths"), path.child("http").child("paths"));
    if paths.is_empty() {
        found.push(Cause::required(&path, ""));
    }
    for (index, one) in paths.iter().enumerate() {
        check_path(one, &path.index(index), found);
    }
}

fn check_host(host: &str, path: &Path, found: &mut Causes) {
    if host.parse::<IpAddr>().is_ok() {
        found.push(Cause::invalid(path, host, AN_IP));
    }
    check_name_of_host(host, path, found);
}

fn check_name_of_host(host: &str, path: &Path, found: &mut Causes) {
    let wrong =
        if host.contains('*') { names::wildcard_dns1123_subdomain(host) } else { names::dns1123_subdomain(host) };
    found.invalid_each(path, host, wrong);
}

fn check_path(one: &Value, path: &Path, found: &mut Causes) {
    let kind = text(one, "/pathType");
    if kind.is_empty() {
        found.push(Cause::required(&path.child("pathType"), "pathType must be specified"));
        return;
    }
    found.one_of(&path.child("pathType"), kind, PATH_TYPES);
    check_path_text(text(one, "/path"), kind, &path.child("path"), found);
    check_backend(at(one, "/backend"), &path.child("backend"), found);
}

fn check_path_text(text: &str, kind: &str, path: &Path, found: &mut Causes) {
    let is_exact = matches!(kind, "Exact" | "Prefix");
    let is_absolute = text.starts_with('/') || (!is_exact && text.is_empty());
    if !is_absolute && PATH_TYPES.contains(&kind) {
        found.push(Cause::invalid(path, text, "must be an absolute path"));
    }
    if !is_exact {
        return;
    }
    let within = NOT_IN_PATHS.iter().filter(|piece| text.contains(**piece));
    found.extend(within.map(|piece| Cause::invalid(path, text, &format!("must not contain '{piece}'"))));
    let ends = NOT_AT_ENDS_OF_PATHS.iter().filter(|end| text.ends_with(**end));
    found.extend(ends.map(|end| Cause::invalid(path, text, &format!("cannot end with '{end}'"))));
}

fn check_backend(backend: &Value, path: &Path, found: &mut Causes) {
    match (has(backend, "/resource"), has(backend, "/service")) {
        (true, true) => {
            found.push(Cause::invalid(path, "", "cannot set both resource and service backends"));
        }
        (true, false) => check_reference(at(backend, "/resource"), &path.child("resource"), found),
        (false, true) => check_service(at(backend, "/service"), path, found),
        (false, false) => found.push(Cause::invalid(path, "", "resource or service backend is required")),
    }
}

fn check_service(service: &Value, path: &Path, found: &mut Causes) {
    let (name, here) = (text(service, "/name"), path.child("service"));
    if name.is_empty() {
        found.push(Cause::required(&here.child("name"), ""));
    } else {
        found.invalid_each(&here.child("name"), name, names::dns1035_label(name));
    }
    let (port, here) = (text(service, "/port/name"), here.child("port"));
    match (port.is_empty(), int(service, "/port/number").filter(|number| *number != 0)) {
        (false, Some(_)) => found.push(Cause::invalid(path, "", "cannot set both port name & port number")),
        (false, None) => found.invalid_each(&here.child("name"), port, names::port_name(port)),
        (true, Some(number)) => {
            let wrong = names::port_number(number);
            found.extend(wrong.iter().map(|detail| Cause::invalid(&here.child("number"), number, detail)));
        }
        (true, None) => found.push(Cause::required(path, "port name or number is required")),
    }
}

/// A reference to another object of the API.
pub(super) fn check_reference(reference: &Value, path: &Path, found: &mut Causes) {
    if let Some(group) = at(reference, "/apiGroup").as_str() {
        found.invalid_each(&path.child("apiGroup"), group, names::dns1123_subdomain(group));
    }
    for field in ["kind", "name"] {
        let (value, here) = (text(reference, &format!("/{field}")), path.child(field));
        if value.is_empty() {
            found.push(Cause::required(&here, ""));
        } else {
            found.invalid_each(&here, value, names::path_segment(value));
        }
    }
}

fn check_tls(tls: &Value, path: &Path, found: &mut Causes) {
    for (index, host) in list(tls, "/hosts").iter().filter_map(Value::as_str).enumerate() {
        check_name_of_host(host, &path.child("hosts").index(index), found);
    }
    let secret = text(tls, "/secretName");
    if !secret.is_empty() {
        found.invalid_each(&path.child("secretName"), secret, names::dns1123_subdomain(secret));
    }
}
