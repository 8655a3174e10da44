//! Endpoints.

use crate::address::check_address;
use crate::cause::Causes;
use crate::json::{fill_text, int, items_mut, list, text};
use crate::names;
use crate::pod_spec::{check_protocol, invalid_number};
use crate::resource::{Resource, Scope};
use crate::table::{AGE, NAME, age_cell, name, shorten};
use crate::{Cause, Column, Path, Strategy};
use jiff::Timestamp;
use serde_json::Value;

pub(crate) const ENDPOINTS: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Endpoints",
    plural: "endpoints",
    singular: "endpoints",
    short_names: &["ep"],
    categories: &[],
    scope: Scope::Namespaced,
    subresources: &[],
    storage: "endpoints",
    strategy: &Endpoints,
};

const COLUMNS: &[Column] =
    &[NAME, Column::plain("Endpoints", "string", "The set of all endpoints is the union of all subsets."), AGE];

struct Endpoints;

impl Strategy for Endpoints {
    fn default(&self, endpoints: &mut Value) {
        for subset in items_mut(endpoints, "/subsets") {
            items_mut(subset, "/ports").for_each(|port| fill_text(port, "protocol", "TCP"));
        }
    }

    fn validate(&self, endpoints: &Value) -> Vec<Cause> {
        let mut found = Causes::default();
        for (index, subset) in list(endpoints, "/subsets").iter().enumerate() {
            check_subset(subset, &Path::new("subsets").index(index), &mut found);
        }
        found.into_vec()
    }

    fn has_generation(&self) -> bool {
        false
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, endpoints: &Value, now: Timestamp) -> Vec<Value> {
        vec![name(endpoints), addresses(endpoints).into(), age_cell(endpoints, now)]
    }
}

fn addresses(endpoints: &Value) -> String {
    let subsets = list(endpoints, "/subsets");
    if subsets.is_empty() {
        return "<none>".to_owned();
    }
    shorten(subsets.iter().flat_map(subset_addresses).collect())
}

/// Every address with every port; an address alone where there are no ports.
fn subset_addresses(subset: &Value) -> Vec<String> {
    let hosts = list(subset, "/addresses").iter().map(|address| text(address, "/ip"));
    let ports = list(subset, "/ports");
    if ports.is_empty() {
        return hosts.map(str::to_owned).collect();
    }
    let with_port = |host: &str, port: &Value| format!("{}:{}", bracketed(host), int(port, "/port").unwrap_or(0));
    ports.iter().flat_map(|port| hosts.clone().map(move |host| with_port(host, port))).collect()
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn check_subset(subset: &Value, path: &Path, found: &mut Causes) {
    let (ready, other) = (list(subset, "/addresses"), list(subset, "/notReadyAddresses"));
    if ready.is_empty() && other.is_empty() {
        found.push(Cause::required(path, "must specify `addresses` or `notReadyAddresses`"));
    }
    for (field, addresses) in [("addresses", ready), ("notReadyAddresses", other)] {
        for (index, address) in addresses.iter().enumerate() {
            let path = path.child(field).index(index);
            check_address(text(address, "/ip"), &path.child("ip"), found);
            check_name(text(address, "/hostname"), &path.child("hostname"), found);
        }
    }
    let ports = list(subset, "/ports");
    for (index, port) in ports.iter().enumerate() {
        let path = path.child("ports").index(index);
        if ports.len() > 1 && text(port, "/name").is_empty() {
            found.push(Cause::required(&path.child("name"), ""));
        }
        check_name(text(port, "/name"), &path.child("name"), found);
        invalid_number(int(port, "/port").unwrap_or(0), &path.child("port"), found);
        check_protocol(port, &path, found);
    }
}

fn check_name(name: &str, path: &Path, found: &mut Causes) {
    if !name.is_empty() {
        found.invalid_each(path, name, names::dns1123_label(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn at_most_three_addresses_are_shown() {
        let ips: Vec<_> = (1..=5).map(|n| json!({ "ip": format!("10.0.0.{n}") })).collect();
        let endpoints = json!({ "subsets": [{ "addresses": ips, "ports": [{ "port": 80 }] }] });
        assert_eq!(addresses(&endpoints), "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more...");
        assert_eq!(addresses(&json!({})), "<none>");
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let endpoints = json!({ "subsets": [
            { "ports": [] },
            { "addresses": [{ "ip": "127.0.0.1" }, { "ip": "x" }], "ports": [{ "port": 0, "protocol": "TCP" }] },
        ] });
        let fields: Vec<_> = Endpoints.validate(&endpoints).into_iter().map(|cause| cause.field).collect();
        assert_eq!(
            fields,
            ["subsets[0]", "subsets[1].addresses[0].ip", "subsets[1].addresses[1].ip", "subsets[1].ports[0].port"]
        );
    }
}
