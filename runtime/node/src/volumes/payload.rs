//! What the files of a volume should be.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::KeyToPath;
use sha2::{Digest, Sha256};

use super::error::VolumeError;

/// A file of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) bytes: Vec<u8>,
    /// Its permissions.
    pub(crate) mode: u32,
}

/// Files by their path below the volume. The API has checked that no path leads out.
pub(crate) type Payload = BTreeMap<String, File>;

/// The keys of a ConfigMap or Secret, and which of them become files.
pub(super) struct Keyed<'a> {
    /// `configmap` or `secret`.
    pub(super) kind: &'static str,
    /// `None` if the object is not there.
    pub(super) keys: Option<BTreeMap<&'a str, &'a [u8]>>,
    pub(super) name: &'a str,
    pub(super) items: Option<&'a [KeyToPath]>,
    pub(super) optional: bool,
    pub(super) mode: u32,
}

impl Keyed<'_> {
    /// All keys by their names, or those of `items` under the paths they name.
    pub(super) fn payload(&self) -> Result<Payload, VolumeError> {
        let keys = match &self.keys {
            Some(keys) => keys,
            None if self.optional => return Ok(Payload::new()),
            None => return Err(VolumeError::NotFound { kind: self.kind, name: self.name.to_owned() }),
        };
        let file = |bytes: &[u8], mode| File { bytes: bytes.to_vec(), mode };
        let Some(items) = self.items.filter(|items| !items.is_empty()) else {
            return Ok(keys.iter().map(|(key, bytes)| ((*key).to_owned(), file(bytes, self.mode))).collect());
        };
        let mut payload = Payload::new();
        for item in items {
            match keys.get(item.key.as_str()) {
                Some(bytes) => {
                    payload.insert(clean(&item.path), file(bytes, mode(item.mode, self.mode)));
                }
                None if self.optional => {}
                None => return Err(VolumeError::NoKey { kind: self.kind, key: item.key.clone() }),
            }
        }
        Ok(payload)
    }
}

/// A file's mode, or the volume's.
pub(super) fn mode(own: Option<i32>, default: u32) -> u32 {
    own.and_then(|mode| u32::try_from(mode).ok()).unwrap_or(default)
}

/// `./a//b` as `a/b`.
pub(super) fn clean(path: &str) -> String {
    path.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/")
}

/// Tells one payload from another.
pub(super) fn digest(payload: &Payload) -> [u8; 32] {
    let mut digest = Sha256::new();
    for (path, file) in payload {
        for part in [path.as_bytes(), &file.mode.to_le_bytes(), &file.bytes] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn payload(there: bool, items: serde_json::Value, optional: bool) -> Result<Vec<(String, u32)>, String> {
        let items: Option<Vec<KeyToPath>> = serde_json::from_value(items).unwrap();
        let keys = there.then(|| BTreeMap::from([("a", &b"1"[..]), ("b", b"2")]));
        let keyed = Keyed { kind: "configmap", keys, name: "c", items: items.as_deref(), optional, mode: 0o644 };
        let payload = keyed.payload().map_err(|error| error.to_string())?;
        Ok(payload.into_iter().map(|(path, file)| (path, file.mode)).collect())
    }

    #[test]
    fn items_choose_and_place_keys_and_what_is_missing_is_named_unless_optional() {
        let file = |path: &str, mode| (path.to_owned(), mode);
        let one = json!([{"key": "b", "path": "x/./b", "mode": 0o400}]);
        let none = json!([{"key": "z", "path": "z"}, {"key": "a", "path": "a"}]);
        for (there, items, optional, expected) in [
            (true, json!(null), false, Ok(vec![file("a", 0o644), file("b", 0o644)])),
            (true, json!([]), false, Ok(vec![file("a", 0o644), file("b", 0o644)])),
            (true, one, false, Ok(vec![file("x/b", 0o400)])),
            (true, none.clone(), false, Err("configmap references non-existent config key: z".to_owned())),
            (true, none, true, Ok(vec![file("a", 0o644)])),
            (false, json!(null), false, Err("configmap \"c\" not found".to_owned())),
            (false, json!(null), true, Ok(vec![])),
        ] {
            assert_eq!(payload(there, items.clone(), optional), expected, "{items}");
        }
    }

    #[test]
    fn a_payload_differs_by_path_mode_and_content() {
        let one = |path: &str, mode, bytes: &str| {
            digest(&Payload::from([(path.to_owned(), File { bytes: bytes.into(), mode })]))
        };
        let same = one("a", 1, "x");
        assert_eq!(same, one("a", 1, "x"));
        for other in [one("b", 1, "x"), one("a", 2, "x"), one("a", 1, "y"), digest(&Payload::new())] {
            assert_ne!(same, other);
        }
    }
}
