//! Discovery all at once: `apidiscovery.k8s.io` `APIGroupDiscoveryList`.

use carob_resources::Resource;
use serde_json::{Value, json};

use super::{groups, namespaced, set_list, subresource_kind, subresource_verbs, verbs};
use crate::registry::subresource_name;

/// The core group alone (`/api`), or all other groups (`/apis`).
pub(super) fn document(resources: &[&'static Resource], version: &str, core: bool) -> Value {
    let groups = if core { vec![("", vec!["v1"])] } else { groups(resources) };
    let items: Vec<Value> = groups.iter().map(|(group, versions)| one_group(resources, group, versions)).collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {},
        "items": items,
    })
}

fn one_group(resources: &[&'static Resource], group: &str, versions: &[&str]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| {
            let here = resources.iter().filter(|one| one.group == group && one.version == *version);
            let list: Vec<Value> = here.map(|resource| one_resource(resource)).collect();
            json!({ "version": version, "freshness": "Current", "resources": list })
        })
        .collect();
    let metadata = match group {
        "" => json!({ "creationTimestamp": null }),
        name => json!({ "name": name, "creationTimestamp": null }),
    };
    json!({ "metadata": metadata, "versions": versions })
}

fn one_resource(resource: &Resource) -> Value {
    let mut one = json!({
        "resource": resource.plural, "singularResource": resource.singular, "verbs": verbs(resource),
        "responseKind": { "group": resource.group, "version": resource.version, "kind": resource.kind },
        "scope": if namespaced(resource) { "Namespaced" } else { "Cluster" },
    });
    set_list(&mut one, "shortNames", resource.short_names);
    set_list(&mut one, "categories", resource.categories);
    let subresources: Vec<Value> = resource
        .subresources
        .iter()
        .map(|subresource| {
            let (group, version, kind) = subresource_kind(resource, subresource);
            json!({
                "subresource": subresource_name(subresource), "verbs": subresource_verbs(subresource),
                "responseKind": { "group": group, "version": version, "kind": kind },
            })
        })
        .collect();
    if !subresources.is_empty() {
        one["subresources"] = Value::Array(subresources);
    }
    one
}
