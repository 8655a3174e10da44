//! EndpointSlices.

use crate::address::check_address;
use crate::cause::Causes;
use crate::json::{fill, fill_text, int, items_mut, list, text};
use crate::names;
use crate::pod_spec::check_protocol;
use crate::resource::{Resource, Scope};
use crate::table::{AGE, NAME, age_cell, name, shorten};
use crate::{Cause, Column, Path, Strategy};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) const ENDPOINT_SLICES: Resource = Resource {
    group: "discovery.k8s.io",
    version: "v1",
    kind: "EndpointSlice",
    plural: "endpointslices",
    singular: "endpointslice",
    short_names: &[],
    categories: &[],
    scope: Scope::Namespaced,
    subresources: &[],
    storage: "endpointslices",
    strategy: &EndpointSlices,
};

const COLUMNS: &[Column] = &[
    NAME,
    Column::plain("AddressType", "string", "addressType specifies the type of address carried by this EndpointSlice."),
    Column::plain(
        "Ports",
        "string",
        "ports specifies the list of network ports exposed by each endpoint in this slice.",
    ),
    Column::plain("Endpoints", "string", "endpoints is a list of unique endpoints in this slice."),
    AGE,
];
const ENDPOINTS_LIMIT: usize = 1000;
const ADDRESSES_LIMIT: usize = 100;

struct EndpointSlices;

impl Strategy for EndpointSlices {
    fn default(&self, slice: &mut Value) {
        for port in items_mut(slice, "/ports") {
            fill(port, "name", "");
            fill_text(port, "protocol", "TCP");
        }
    }

    fn validate(&self, slice: &Value) -> Vec<Cause> {
        let mut found = Causes::default();
        let (kind, path) = (text(slice, "/addressType"), Path::new("addressType"));
        if kind.is_empty() {
            found.push(Cause::required(&path, ""));
        } else {
            found.one_of(&path, kind, &["FQDN", "IPv4", "IPv6"]);
        }
        let endpoints = list(slice, "/endpoints");
        if endpoints.len() > ENDPOINTS_LIMIT {
            found.push(Cause::too_many(&Path::new("endpoints"), endpoints.len(), ENDPOINTS_LIMIT));
        }
        for (index, endpoint) in endpoints.iter().enumerate() {
            check_endpoint(endpoint, kind, &Path::new("endpoints").index(index), &mut found);
        }
        check_ports(list(slice, "/ports"), &Path::new("ports"), &mut found);
        found.into_vec()
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<Cause> {
        if text(new, "/addressType") == text(old, "/addressType") {
            return Vec::new();
        }
        vec![Cause::invalid(&Path::new("addressType"), text(new, "/addressType"), "field is immutable")]
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, slice: &Value, now: Timestamp) -> Vec<Value> {
        vec![
            name(slice),
            text(slice, "/addressType").into(),
            ports(list(slice, "/ports")).into(),
            addresses(list(slice, "/endpoints")).into(),
            age_cell(slice, now),
        ]
    }
}

fn ports(ports: &[Value]) -> String {
    let one = |port: &Value| match int(port, "/port") {
        Some(number) => number.to_string(),
        None if text(port, "/name").is_empty() => "*".to_owned(),
        None => text(port, "/name").to_owned(),
    };
    if ports.is_empty() { "<unset>".to_owned() } else { shorten(ports.iter().map(one).collect()) }
}

fn addresses(endpoints: &[Value]) -> String {
    let all = endpoints.iter().flat_map(|endpoint| list(endpoint, "/addresses")).filter_map(Value::as_str);
    if endpoints.is_empty() { "<unset>".to_owned() } else { shorten(all.map(str::to_owned).collect()) }
}

fn check_endpoint(endpoint: &Value, kind: &str, path: &Path, found: &mut Causes) {
    let addresses = list(endpoint, "/addresses");
    let here = path.child("addresses");
    if addresses.is_empty() {
        found.push(Cause::required(&here, "must contain at least 1 address"));
    }
    if addresses.len() > ADDRESSES_LIMIT {
        found.push(Cause::too_many(&here, addresses.len(), ADDRESSES_LIMIT));
    }
    for (index, address) in addresses.iter().filter_map(Value::as_str).enumerate() {
        let here = here.index(index);
        match kind {
            "IPv4" if address.parse::<Ipv4Addr>().is_err() => {
                found.push(Cause::invalid(&here, address, "must be a valid IPv4 address"));
            }
            "IPv6" if address.parse::<Ipv6Addr>().is_err() => {
                found.push(Cause::invalid(&here, address, "must be a valid IPv6 address"));
            }
            "IPv4" | "IPv6" => check_address(address, &here, found),
            _ => found.invalid_each(&here, address, names::dns1123_subdomain(address)),
        }
    }
    let hostname = text(endpoint, "/hostname");
    if !hostname.is_empty() {
        found.invalid_each(&path.child("hostname"), hostname, names::dns1123_label(hostname));
    }
}

fn check_ports(ports: &[Value], path: &Path, found: &mut Causes) {
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let name = text(port, "/name");
        if !name.is_empty() {
            found.invalid_each(&path.child("name"), name, names::dns1123_label(name));
        }
        if !seen.insert(name) {
            found.push(Cause::duplicate(&path.child("name"), name));
        }
        check_protocol(port, &path, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_unset_is_shown_so() {
        let row = EndpointSlices.cells(&json!({ "addressType": "IPv4" }), Timestamp::UNIX_EPOCH);
        assert_eq!(row[1..4], ["IPv4", "<unset>", "<unset>"]);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let mut slice = json!({
            "addressType": "IPv4",
            "endpoints": [{ "addresses": [] }, { "addresses": ["::1"] }, { "addresses": ["10.0.0.1"] }],
            "ports": [{ "port": 80 }, { "port": 81 }],
        });
        EndpointSlices.default(&mut slice);
        let fields: Vec<_> = EndpointSlices.validate(&slice).into_iter().map(|cause| cause.field).collect();
        assert_eq!(fields, ["endpoints[0].addresses", "endpoints[1].addresses[0]", "ports[1].name"]);
    }

    #[test]
    fn the_address_type_stays() {
        let (old, new) = (json!({ "addressType": "IPv4" }), json!({ "addressType": "IPv6" }));
        assert_eq!(EndpointSlices.validate_update(&new, &old)[0].field, "addressType");
        assert_eq!(EndpointSlices.validate_update(&old, &old), []);
    }
}
