//! EndpointSlices.

use crate::json::{int, list, text};
use crate::resource::{Resource, Scope};
use crate::table::{AGE, NAME, age_cell, name};
use crate::{Column, Strategy};
use jiff::Timestamp;
use serde_json::Value;

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
/// So many ports or addresses are shown before "+ 5 more...".
const SHOWN: usize = 3;

struct EndpointSlices;

impl Strategy for EndpointSlices {
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

fn shorten(all: Vec<String>) -> String {
    let shown = all[..all.len().min(SHOWN)].join(",");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}
