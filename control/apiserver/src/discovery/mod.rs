//! Tells clients what is served: level by level, or all at once (aggregated).

mod aggregated;
mod legacy;

use axum::response::Response;
use carob_resources::{Resource, Scope, Subresource};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

use crate::{
    ApiServer,
    request::{Discovery, accepted},
    status::{Status, json_response},
};

/// What Kubernetes this speaks.
pub(crate) const VERSION: &str = "v1.37.0+carob";

/// Answers one of the discovery paths.
pub(crate) fn answer(api: &ApiServer, level: &Discovery, headers: &HeaderMap) -> Result<Response, Status> {
    let stored = api.registry().iter().map(|served| served.resource);
    let resources: Vec<&'static Resource> = stored.chain(carob_resources::computed()).collect();
    if let Some(version) = aggregated_version(headers) {
        match level {
            Discovery::Core => return Ok(aggregated_response(&resources, version, true)),
            Discovery::Groups => return Ok(aggregated_response(&resources, version, false)),
            _ => {}
        }
    }
    // The level-by-level documents are plain JSON.
    if !accepted(headers).iter().any(|wish| wish.kind.is_none()) {
        return Err(Status::not_acceptable("application/json"));
    }
    let document = match level {
        Discovery::Paths => Some(legacy::paths(&resources)),
        Discovery::Core => Some(legacy::core(api)),
        Discovery::Groups => Some(legacy::groups(&resources)),
        Discovery::Group(group) => legacy::group(&resources, group),
        Discovery::Resources(group, version) => legacy::resources(&resources, group, version),
    };
    Ok(json_response(StatusCode::OK, &document.ok_or_else(Status::no_such_path)?))
}

/// `/version`.
pub(crate) fn version() -> Response {
    let version = serde_json::json!({
        "major": "1", "minor": "37", "gitVersion": VERSION, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, go_architecture()),
    });
    json_response(StatusCode::OK, &version)
}

fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The version of aggregated discovery that the client wants most, if it wants that more than plain JSON.
fn aggregated_version(headers: &HeaderMap) -> Option<&'static str> {
    let wishes = accepted(headers);
    let first = wishes.iter().find(|wish| {
        wish.kind.is_none() || wish.kind.as_deref() == Some("APIGroupDiscoveryList") && known(wish.version.as_deref())
    })?;
    match (first.kind.as_deref(), first.version.as_deref()) {
        (Some(_), Some("v2")) => Some("v2"),
        (Some(_), Some("v2beta1")) => Some("v2beta1"),
        _ => None,
    }
}

fn known(version: Option<&str>) -> bool {
    matches!(version, Some("v2" | "v2beta1"))
}

fn aggregated_response(resources: &[&'static Resource], version: &'static str, core: bool) -> Response {
    let document = aggregated::document(resources, version, core);
    let mut response = json_response(StatusCode::OK, &document);
    let kind = format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
    if let Ok(kind) = HeaderValue::from_str(&kind) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

/// The groups but the core, in order, each with its versions.
fn groups(resources: &[&'static Resource]) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for resource in resources.iter().filter(|resource| !resource.group.is_empty()) {
        let known = groups.iter().position(|(group, _)| *group == resource.group);
        let at = known.unwrap_or_else(|| {
            groups.push((resource.group, Vec::new()));
            groups.len() - 1
        });
        if !groups[at].1.contains(&resource.version) {
            groups[at].1.push(resource.version);
        }
    }
    groups
}

fn verbs(resource: &Resource) -> Vec<&'static str> {
    if resource.strategy.review().is_some() {
        return vec!["create"];
    }
    // What is stored nowhere can only be read.
    if resource.storage.is_empty() {
        return vec!["get", "list"];
    }
    let all = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    all.into_iter().filter(|verb| *verb != "deletecollection" || resource.kind != "Namespace").collect()
}

fn subresource_verbs(subresource: &Subresource) -> &'static [&'static str] {
    match subresource {
        Subresource::Status
        | Subresource::EphemeralContainers
        | Subresource::Resize
        | Subresource::Approval
        | Subresource::Scale { .. } => &["get", "patch", "update"],
        Subresource::Finalize => &["update"],
        Subresource::Binding | Subresource::Eviction | Subresource::Token => &["create"],
        Subresource::Log => &["get"],
        Subresource::Proxy => &["create", "delete", "get", "patch", "update"],
        Subresource::Exec | Subresource::Attach | Subresource::PortForward => &["create", "get"],
    }
}

/// Group, version and kind of what a subresource takes and gives.
fn subresource_kind(resource: &Resource, subresource: &Subresource) -> (&'static str, &'static str, &'static str) {
    match subresource {
        Subresource::Scale { .. } => ("autoscaling", "v1", "Scale"),
        Subresource::Binding => ("", "v1", "Binding"),
        Subresource::Proxy => ("", "v1", proxy_options(resource)),
        Subresource::Eviction => ("policy", "v1", "Eviction"),
        Subresource::Exec => ("", "v1", "PodExecOptions"),
        Subresource::Attach => ("", "v1", "PodAttachOptions"),
        Subresource::PortForward => ("", "v1", "PodPortForwardOptions"),
        Subresource::Token => ("authentication.k8s.io", "v1", "TokenRequest"),
        Subresource::Status
        | Subresource::Finalize
        | Subresource::EphemeralContainers
        | Subresource::Resize
        | Subresource::Approval
        | Subresource::Log => (resource.group, resource.version, resource.kind),
    }
}

fn proxy_options(resource: &Resource) -> &'static str {
    match resource.kind {
        "Pod" => "PodProxyOptions",
        "Service" => "ServiceProxyOptions",
        _ => "NodeProxyOptions",
    }
}

fn namespaced(resource: &Resource) -> bool {
    resource.scope == Scope::Namespaced
}

/// Leaves out lists that are empty, as Kubernetes does.
fn set_list(object: &mut Value, field: &str, list: &[&str]) {
    if !list.is_empty() {
        object[field] = serde_json::json!(list);
    }
}
