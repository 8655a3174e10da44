//! Endpoints.

use crate::json::{int, list, text};
use crate::resource::{Resource, Scope};
use crate::table::{AGE, NAME, age_cell, name};
use crate::{Column, Strategy};
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
/// So many addresses are shown before "+ 5 more...".
const SHOWN: usize = 3;

struct Endpoints;

impl Strategy for Endpoints {
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

fn shorten(all: Vec<String>) -> String {
    let shown = all[..all.len().min(SHOWN)].join(",");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}
