use std::collections::BTreeMap;
use std::fmt::Write as _;

use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::error::VolumeError;
use super::payload::{File, Payload, clean, mode};
use crate::pods::resource_field;

/// The Pod's own fields as files; `allocatable` is what the node can give of a resource.
pub(super) fn files(
    pod: &Pod,
    items: &[DownwardAPIVolumeFile],
    default_mode: u32,
    allocatable: &dyn Fn(&str) -> Option<Quantity>,
) -> Result<Payload, VolumeError> {
    let mut payload = Payload::new();
    for item in items {
        let text = match (&item.field_ref, &item.resource_field_ref) {
            (Some(field), _) => self::field(pod, &field.field_path),
            (None, Some(resource)) => resource_field(pod, resource, allocatable),
            (None, None) => Err("one of fieldRef and resourceFieldRef is required".to_owned()),
        };
        let bytes = text.map_err(VolumeError::Field)?.into_bytes();
        payload.insert(clean(&item.path), File { bytes, mode: mode(item.mode, default_mode) });
    }
    Ok(payload)
}

type Map = BTreeMap<String, String>;

/// The fields that a kubelet shows in volumes: only those that are known before the Pod runs.
fn field(pod: &Pod, path: &str) -> Result<String, String> {
    let meta = &pod.metadata;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    if let Some(key) = subscript(path, "metadata.labels") {
        return Ok(value(&meta.labels, key));
    }
    if let Some(key) = subscript(path, "metadata.annotations") {
        return Ok(value(&meta.annotations, key));
    }
    match path {
        "metadata.name" => Ok(text(&meta.name)),
        "metadata.namespace" => Ok(text(&meta.namespace)),
        "metadata.uid" => Ok(text(&meta.uid)),
        "metadata.labels" => Ok(lines(&meta.labels)),
        "metadata.annotations" => Ok(lines(&meta.annotations)),
        _ => Err(format!("unsupported fieldPath: {path}")),
    }
}

fn subscript<'a>(path: &'a str, map: &str) -> Option<&'a str> {
    path.strip_prefix(map)?.strip_prefix("['")?.strip_suffix("']")
}

fn value(map: &Option<Map>, key: &str) -> String {
    map.as_ref().and_then(|map| map.get(key)).cloned().unwrap_or_default()
}

/// `key="value"`, one a line, quoted as Go quotes.
fn lines(map: &Option<Map>) -> String {
    let line = |(key, value): (&String, &String)| format!("{key}={}", quoted(value));
    map.iter().flatten().map(line).collect::<Vec<_>>().join("\n")
}

fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_and_resources_become_files_as_a_kubelet_writes_them() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "ns", "uid": "u", "labels": {"b": "2", "a": "é\"\n"}},
            "spec": {"containers": [{"name": "c", "resources": {"limits": {"memory": "64Mi"}}}]}
        }))
        .unwrap();
        let resource = |resource: &str| json!({"resourceFieldRef": {"containerName": "c", "resource": resource}});
        let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
        for (item, expected) in [
            (field("metadata.name"), Ok("p")),
            (field("metadata.labels"), Ok("a=\"é\\\"\\n\"\nb=\"2\"")),
            (field("metadata.labels['b']"), Ok("2")),
            (field("metadata.annotations"), Ok("")),
            (field("status.podIP"), Err("unsupported fieldPath: status.podIP")),
            (resource("limits.memory"), Ok("67108864")),
            (resource("limits.cpu"), Ok("2")),
        ] {
            let mut item = item;
            item["path"] = json!("f");
            let item: DownwardAPIVolumeFile = serde_json::from_value(item).unwrap();
            let allocatable = |name: &str| (name == "cpu").then(|| Quantity("2".into()));
            let found = files(&pod, &[item], 0o644, &allocatable);
            let found = found.map(|payload| String::from_utf8(payload["f"].bytes.clone()).unwrap());
            assert_eq!(found.map_err(|error| error.to_string()), expected.map(str::to_owned).map_err(str::to_owned));
        }
    }
}
