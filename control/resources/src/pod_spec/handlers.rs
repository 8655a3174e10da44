//! Probes and life cycle hooks.

use super::ports::invalid_number;
use crate::cause::Causes;
use crate::json::{has, int, list, text};
use crate::names;
use crate::{Cause, Path};
use serde_json::Value;

const KINDS: [&str; 5] = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];
const NUMBERS: [&str; 5] =
    ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"];

pub(super) fn check_probes(container: &Value, path: &Path, found: &mut Causes) {
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = container.get(field).filter(|probe| probe.is_object()) else { continue };
        let path = path.child(field);
        check_handler(probe, None, &path, found);
        for number in NUMBERS {
            if let Some(value) = int(probe, &format!("/{number}")).filter(|value| *value < 0) {
                found.push(Cause::invalid(&path.child(number), value, "must be greater than or equal to 0"));
            }
        }
        let successes = int(probe, "/successThreshold").unwrap_or(1);
        if field != "readinessProbe" && successes > 1 {
            found.push(Cause::invalid(&path.child("successThreshold"), successes, "must be 1"));
        }
        let grace = int(probe, "/terminationGracePeriodSeconds");
        if let Some(seconds) = grace.filter(|seconds| *seconds <= 0) {
            found.push(Cause::invalid(&path.child("terminationGracePeriodSeconds"), seconds, "must be greater than 0"));
        }
        if field == "readinessProbe" && grace.is_some() {
            let detail = "must not be set for readinessProbes";
            found.push(Cause::invalid(&path.child("terminationGracePeriodSeconds"), grace, detail));
        }
    }
}

/// `grace` is how many seconds the Pod has to end in.
pub(super) fn check_lifecycle(container: &Value, grace: Option<i64>, path: &Path, found: &mut Causes) {
    for field in ["postStart", "preStop"] {
        let hook = container.get("lifecycle").and_then(|lifecycle| lifecycle.get(field));
        if let Some(hook) = hook.filter(|hook| hook.is_object()) {
            check_handler(hook, grace, &path.child(field), found);
        }
    }
}

fn check_handler(handler: &Value, grace: Option<i64>, path: &Path, found: &mut Causes) {
    let given: Vec<&str> = KINDS.into_iter().filter(|kind| has(handler, &format!("/{kind}"))).collect();
    if given.is_empty() {
        found.push(Cause::required(path, "must specify a handler type"));
    }
    for kind in given.iter().skip(1) {
        found.push(Cause::forbidden(&path.child(kind), "may not specify more than 1 handler type"));
    }
    for kind in given.iter().take(1) {
        let here = path.child(kind);
        let details = &handler[*kind];
        match *kind {
            "exec" if list(details, "/command").is_empty() => found.push(Cause::required(&here.child("command"), "")),
            "httpGet" => check_http_get(details, &here, found),
            "tcpSocket" => check_port(&details["port"], &here.child("port"), found),
            "grpc" => invalid_number(int(details, "/port").unwrap_or(0), &here, found),
            "sleep" => check_sleep(int(details, "/seconds").unwrap_or(0), grace, &here, found),
            _ => {}
        }
    }
}

fn check_sleep(seconds: i64, grace: Option<i64>, path: &Path, found: &mut Causes) {
    let Some(grace) = grace.filter(|grace| !(0..=*grace).contains(&seconds)) else { return };
    let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
    found.push(Cause::invalid(path, seconds, &detail));
}

fn check_http_get(get: &Value, path: &Path, found: &mut Causes) {
    if text(get, "/path").is_empty() {
        found.push(Cause::required(&path.child("path"), ""));
    }
    check_port(&get["port"], &path.child("port"), found);
    found.one_of(&path.child("scheme"), text(get, "/scheme"), &["HTTP", "HTTPS"]);
    for header in list(get, "/httpHeaders") {
        let name = text(header, "/name");
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            let detail = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
            found.push(Cause::invalid(&path.child("httpHeaders"), name, detail));
        }
    }
}

/// A port's number or name.
fn check_port(port: &Value, path: &Path, found: &mut Causes) {
    match port {
        Value::String(name) => found.invalid_each(path, name, names::port_name(name)),
        other => invalid_number(other.as_i64().unwrap_or(0), path, found),
    }
}
