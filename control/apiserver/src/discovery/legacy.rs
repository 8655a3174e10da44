//! Discovery level by level.

use carob_resources::Resource;
use serde_json::{Value, json};

use super::{groups as groups_of, namespaced, set_list, subresource_kind, subresource_verbs, verbs};
use crate::{ApiServer, registry::subresource_name};

/// `/`.
pub(super) fn paths(resources: &[&'static Resource]) -> Value {
    let first = ["/.well-known/openid-configuration", "/api", "/api/v1", "/apis"];
    let mut paths = Vec::from(first.map(str::to_owned));
    for (group, versions) in groups_of(resources) {
        paths.push(format!("/apis/{group}"));
        paths.extend(versions.iter().map(|version| format!("/apis/{group}/{version}")));
    }
    let rest =
        ["/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/openid/v1/jwks", "/readyz", "/version"];
    paths.extend(rest.map(str::to_owned));
    json!({ "paths": paths })
}

/// `/api`.
pub(super) fn core(api: &ApiServer) -> Value {
    let (address, port) = api.config().advertise;
    let address = std::net::SocketAddr::new(address, port).to_string();
    json!({
        "kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{ "clientCIDR": "0.0.0.0/0", "serverAddress": address }],
    })
}

/// `/apis`.
pub(super) fn groups(resources: &[&'static Resource]) -> Value {
    let groups: Vec<Value> = groups_of(resources).iter().map(|(group, versions)| api_group(group, versions)).collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

/// `/apis/GROUP`.
pub(super) fn group(resources: &[&'static Resource], name: &str) -> Option<Value> {
    let groups = groups_of(resources);
    let (group, versions) = groups.iter().find(|(group, _)| *group == name)?;
    let mut document = api_group(group, versions);
    document["kind"] = json!("APIGroup");
    document["apiVersion"] = json!("v1");
    Some(document)
}

/// `/api/v1` or `/apis/GROUP/VERSION`.
pub(super) fn resources(resources: &[&'static Resource], group: &str, version: &str) -> Option<Value> {
    let here = resources.iter().filter(|resource| resource.group == group && resource.version == version);
    let list: Vec<Value> = here.flat_map(|resource| api_resources(resource)).collect();
    if list.is_empty() {
        return None;
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some(json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list }))
}

fn api_group(group: &str, versions: &[&str]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| json!({ "groupVersion": format!("{group}/{version}"), "version": version }))
        .collect();
    json!({ "name": group, "versions": versions, "preferredVersion": versions[0] })
}

fn api_resources(resource: &Resource) -> Vec<Value> {
    let mut main = json!({
        "name": resource.plural, "singularName": resource.singular, "namespaced": namespaced(resource),
        "kind": resource.kind, "verbs": verbs(resource),
    });
    set_list(&mut main, "shortNames", resource.short_names);
    set_list(&mut main, "categories", resource.categories);
    let mut all = vec![main];
    for subresource in resource.subresources {
        let (group, version, kind) = subresource_kind(resource, subresource);
        let mut one = json!({
            "name": format!("{}/{}", resource.plural, subresource_name(subresource)), "singularName": "",
            "namespaced": namespaced(resource), "kind": kind, "verbs": subresource_verbs(subresource),
        });
        if (group, version) != (resource.group, resource.version) {
            one["group"] = json!(group);
            one["version"] = json!(version);
        }
        all.push(one);
    }
    all
}
