//! ConfigMaps and Secrets: bytes by their keys, which become files.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, KeyToPath, Secret};

use super::error::VolumeError;
use super::payload::{Keyed, Payload};

/// An object that holds bytes by keys.
pub(super) trait Keys {
    /// As messages call it.
    const KIND: &'static str;

    fn keys(&self) -> BTreeMap<&str, &[u8]>;
}

impl Keys for ConfigMap {
    const KIND: &'static str = "configmap";

    fn keys(&self) -> BTreeMap<&str, &[u8]> {
        let text = self.data.iter().flatten().map(|(key, value)| (key.as_str(), value.as_bytes()));
        let binary = self.binary_data.iter().flatten().map(|(key, value)| (key.as_str(), &value.0[..]));
        text.chain(binary).collect()
    }
}

impl Keys for Secret {
    const KIND: &'static str = "secret";

    fn keys(&self) -> BTreeMap<&str, &[u8]> {
        self.data.iter().flatten().map(|(key, value)| (key.as_str(), &value.0[..])).collect()
    }
}

/// The files of the object with this name, which may not be there.
pub(super) fn files<K: Keys>(
    found: Option<&K>,
    name: &str,
    items: Option<&[KeyToPath]>,
    optional: Option<bool>,
    mode: u32,
) -> Result<Payload, VolumeError> {
    Keyed { kind: K::KIND, keys: found.map(K::keys), name, items, optional: optional == Some(true), mode }.payload()
}
