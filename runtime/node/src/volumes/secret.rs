use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{KeyToPath, Secret, SecretVolumeSource};

use super::error::VolumeError;
use super::payload::{Keyed, Payload, mode};

pub(super) fn volume(source: &SecretVolumeSource, found: Option<&Secret>) -> Result<Payload, VolumeError> {
    let name = source.secret_name.as_deref().unwrap_or_default();
    files(found, name, source.items.as_deref(), source.optional, mode(source.default_mode, super::DEFAULT_MODE))
}

pub(super) fn files(
    found: Option<&Secret>,
    name: &str,
    items: Option<&[KeyToPath]>,
    optional: Option<bool>,
    mode: u32,
) -> Result<Payload, VolumeError> {
    let keys = found.map(keys);
    Keyed { kind: "secret", keys, name, items, optional: optional == Some(true), mode }.payload()
}

fn keys(secret: &Secret) -> BTreeMap<&str, &[u8]> {
    secret.data.iter().flatten().map(|(key, value)| (key.as_str(), &value.0[..])).collect()
}
