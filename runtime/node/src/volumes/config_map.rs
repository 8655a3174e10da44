use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, ConfigMapVolumeSource, KeyToPath};

use super::error::VolumeError;
use super::payload::{Keyed, Payload, mode};

pub(super) fn volume(source: &ConfigMapVolumeSource, found: Option<&ConfigMap>) -> Result<Payload, VolumeError> {
    let mode = mode(source.default_mode, super::DEFAULT_MODE);
    files(found, &source.name, source.items.as_deref(), source.optional, mode)
}

pub(super) fn files(
    found: Option<&ConfigMap>,
    name: &str,
    items: Option<&[KeyToPath]>,
    optional: Option<bool>,
    mode: u32,
) -> Result<Payload, VolumeError> {
    let keys = found.map(keys);
    Keyed { kind: "configmap", keys, name, items, optional: optional == Some(true), mode }.payload()
}

fn keys(map: &ConfigMap) -> BTreeMap<&str, &[u8]> {
    let text = map.data.iter().flatten().map(|(key, value)| (key.as_str(), value.as_bytes()));
    let binary = map.binary_data.iter().flatten().map(|(key, value)| (key.as_str(), &value.0[..]));
    text.chain(binary).collect()
}
